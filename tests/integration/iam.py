"""What IAM authentication needs, for real: the instance's metadata service (IMDSv2) with a role's keys, and a MariaDB that
verifies the tokens as RDS does. Its PAM plugin asks for the password in clear text, and hands it to this file, which
checks the signature with Python's own libraries.

    python3 iam.py serve DIRECTORY     the metadata service on 169.254.169.254:80; keys are written to DIRECTORY/keys
    python3 iam.py verify DIRECTORY    for pam_exec: the token is read from stdin; DIRECTORY/tokens has a line for each
"""

import datetime
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import sys
import time
import urllib.parse

ADDRESS = "169.254.169.254"
REGION = "eu-west-1"
ENDPOINT = f"db.cluster-abc.{REGION}.rds.amazonaws.com"
LIFE = 900
KEYS = "/latest/meta-data/iam/security-credentials/"


def utc(text):
    return datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def signature(secret, day, region, when, request):
    key = b"AWS4" + secret.encode()
    scope = [day, region, "rds-db", "aws4_request"]
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = "\n".join(["AWS4-HMAC-SHA256", when, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()])
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def judge(token, user, keys, now):
    """Why a token is refused, or None."""
    address, _, query = token.partition("/?")
    signed, _, proof = query.rpartition("&X-Amz-Signature=")
    values = dict(urllib.parse.parse_qsl(signed, strict_parsing=True))
    access, day, region, service, end = values["X-Amz-Credential"].split("/")
    if access not in keys:
        return "unknown key"
    if values.get("X-Amz-Security-Token") != keys[access]["token"]:
        return "wrong session"
    if (values["Action"], values["DBUser"], region, service, end) != ("connect", user, REGION, "rds-db", "aws4_request"):
        return "another purpose"
    if address.split(":")[0] != ENDPOINT:
        return "another endpoint"
    if not -5 <= now - utc(values["X-Amz-Date"]) <= int(values["X-Amz-Expires"]) <= LIFE:
        return "expired"
    canonical = "&".join(sorted(signed.split("&")))
    request = "\n".join(["GET", "/", canonical, f"host:{address}", "", "host", hashlib.sha256(b"").hexdigest()])
    right = signature(keys[access]["secret"], day, region, values["X-Amz-Date"], request)
    return None if hmac.compare_digest(right, proof) else "wrong signature"


def verify(directory):
    token = sys.stdin.buffer.read().rstrip(b"\0\n").decode()
    keys = json.loads((directory / "keys").read_text())
    why = judge(token, os.environ["PAM_USER"], keys, time.time())
    with (directory / "tokens").open("a") as file:
        file.write(f"{why or 'good'} {token}\n")
    return 0 if why is None else 1


class Metadata(http.server.BaseHTTPRequestHandler):
    """Each question for the role's keys gets new ones; the old ones stay good."""

    directory = None
    keys = {}

    def log_message(self, *_):
        pass

    def answer(self, status, text=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def new_key(self):
        name, token = f"ROLE{len(self.keys)}", f"session/{len(self.keys)}+="
        self.keys[name] = {"secret": f"secret/{name}", "token": token}
        (self.directory / "keys").write_text(json.dumps(self.keys))
        end = datetime.datetime.utcfromtimestamp(time.time() + 3600).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps({"Code": "Success", "AccessKeyId": name, "SecretAccessKey": f"secret/{name}",
                           "Token": token, "Expiration": end})

    def do_PUT(self):
        asked = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        return self.answer(200, "imds==") if asked else self.answer(400)

    def do_GET(self):
        if self.headers.get("X-aws-ec2-metadata-token") != "imds==":
            return self.answer(401)  # version 1 is off
        if (self.directory / "no-role").exists() or not self.path.startswith(KEYS):
            return self.answer(404)
        return self.answer(200, "shop-host" if self.path == KEYS else self.new_key())


def serve(directory):
    Metadata.directory = directory
    server = http.server.ThreadingHTTPServer((ADDRESS, 80), Metadata)
    (directory / "keys").write_text("{}")  # which says that it is up
    server.serve_forever()


if __name__ == "__main__":
    sys.exit({"serve": serve, "verify": verify}[sys.argv[1]](pathlib.Path(sys.argv[2])))
