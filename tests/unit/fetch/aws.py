#!/usr/bin/python3
"""S3, IMDSv2 and a container's credentials endpoint on one loopback port, for the tests of fetch/. Prints its port, and
ends with its standard input. Signatures are checked here as AWS's documentation says, with Python's own libraries.

    buckets   plain           us-east-1
              far             eu-west-1, and says so to who signs for another region
              moved           the same, with a redirect to where a signature for another host is of no use
              skewed          its clock is an hour ahead
              closed          403 for what is missing
              curt            us-east-1; no answer has more than 4 MiB, whatever it says
    keys      STATIC/secret-static, and roles' keys: the last one that was handed out, with its token
              or HANDED_KEY ("NAME:SECRET") of the environment, for another server than this one
    objects   of every bucket: files below the directory given as first argument; PUT writes there
    IMDS      also below /silent, where a token is never sent: as if from behind too many hops
    /count    how many keys were handed out, objects written, and uploads in parts not ended
"""

import datetime
import email.utils
import hashlib
import hmac
import http.server
import io
import json
import os
import pathlib
import socketserver
import sys
import threading
import time
import urllib.parse

REGIONS = {"plain": "us-east-1", "far": "eu-west-1", "moved": "eu-west-1", "skewed": "us-east-1", "closed": "us-east-1",
           "curt": "us-east-1"}
KEYS = {"STATIC": ("secret-static", None)}
STATE = {"handed": 0, "uploads": {}, "meta": {}, "kept": 0}


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def quote(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-._~")


class Refusal(Exception):
    def __init__(self, status, code, **headers):
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    skew = 0
    most = None

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate((timestamp or time.time()) + self.skew, usegmt=True)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:self.most])
            self.close_connection |= len(body[:self.most]) < len(body)

    def new_key(self):
        STATE["handed"] += 1
        if "HANDED_KEY" in os.environ:
            name, secret = os.environ["HANDED_KEY"].split(":")
            return json.dumps({"AccessKeyId": name, "SecretAccessKey": secret, "Token": "a token",
                               "Expiration": self.end_of_key(3600)}).encode()
        name, token = f"ROLE{STATE['handed']}", f"token/{STATE['handed']}+="
        KEYS.update({k: (None, None) for k in KEYS if k.startswith("ROLE")})
        KEYS[name] = (f"secret-{name}", token)
        # The first is at its end soon, and so has to be renewed at once.
        life = 60 if STATE["handed"] == 1 else 3600
        return json.dumps({"Code": "Success", "AccessKeyId": name, "SecretAccessKey": f"secret-{name}",
                           "Token": token, "Expiration": self.end_of_key(life)}).encode()

    def end_of_key(self, seconds):
        return datetime.datetime.utcfromtimestamp(time.time() + seconds).strftime("%Y-%m-%dT%H:%M:%SZ")

    def imds(self, path):
        if path == "/latest/api/token":
            if self.command != "PUT" or not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
                return self.answer(400)
            return self.answer(200, b"imds-token==")
        if self.headers.get("X-aws-ec2-metadata-token") != "imds-token==":
            return self.answer(401)
        keys = "/latest/meta-data/iam/security-credentials/"
        if path == keys:
            return self.answer(200, b"the-role\n")
        if path == keys + "the-role":
            return self.answer(200, self.new_key())
        if path == "/latest/meta-data/placement/region":
            return self.answer(200, b"us-east-1")
        return self.answer(404)

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urllib.parse.urlsplit(self.path)
        if address.path == "/count":
            return self.answer(200, f"{STATE['handed']} {STATE['kept']} {len(STATE['uploads'])}".encode())
        if address.path.startswith("/latest/"):
            return self.imds(address.path)
        if address.path.startswith("/silent/"):
            time.sleep(30)
            return None
        if address.path == "/container":
            if self.headers.get("Authorization") != "Basic abc":
                return self.answer(401)
            return self.answer(200, self.new_key())
        try:
            return self.s3(address, body)
        except Refusal as refusal:
            text = f"<?xml version='1.0'?><Error><Code>{refusal.code}</Code><Message>No</Message></Error>"
            return self.answer(refusal.status, text.encode(), **refusal.headers)
        finally:
            self.skew, self.most = 0, None

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def check(self, address, body, bucket):
        """The signature, as "Authenticating Requests (AWS Signature Version 4)" describes it."""
        proof = self.headers.get("Authorization", "")
        if not proof.startswith("AWS4-HMAC-SHA256 "):
            raise Refusal(403, "AccessDenied")
        parts = dict(part.strip().split("=", 1) for part in proof[17:].split(","))
        access, day, region, service, end = parts["Credential"].split("/")
        if region != REGIONS[bucket] and bucket == "moved":
            raise Refusal(307, "TemporaryRedirect", x_amz_bucket_region=REGIONS[bucket], location=self.path)
        if region != REGIONS[bucket]:
            raise Refusal(400, "AuthorizationHeaderMalformed", x_amz_bucket_region=REGIONS[bucket])
        secret, token = KEYS.get(access, (None, None))
        if secret is None:
            raise Refusal(400 if access.startswith("ROLE") else 403, "ExpiredToken" if access.startswith("ROLE") else "InvalidAccessKeyId")
        if token and self.headers.get("X-Amz-Security-Token") != token:
            raise Refusal(403, "InvalidToken")
        when = self.headers["X-Amz-Date"]
        then = datetime.datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if abs(then.timestamp() - time.time() - self.skew) > 900:
            raise Refusal(403, "RequestTimeTooSkewed")
        if self.headers["X-Amz-Content-Sha256"] != hashlib.sha256(body).hexdigest():
            raise Refusal(400, "XAmzContentSHA256Mismatch")
        names = parts["SignedHeaders"].split(";")
        if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names):
            raise Refusal(403, "AccessDenied")
        query = "&".join(f"{quote(k)}={quote(v)}" for k, v in
                         sorted(urllib.parse.parse_qsl(address.query, keep_blank_values=True)))
        path = quote(urllib.parse.unquote(address.path), "/")
        request = "\n".join([self.command, path, query,
                             *(f"{name}:{' '.join(self.headers[name].split())}" for name in names), "",
                             ";".join(names), self.headers["X-Amz-Content-Sha256"]])
        scope = f"{day}/{region}/{service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{when}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = sign(("AWS4" + secret).encode(), day)
        for part in (region, service, end):
            key = sign(key, part)
        if hmac.new(key, text.encode(), hashlib.sha256).hexdigest() != parts["Signature"]:
            raise Refusal(403, "SignatureDoesNotMatch")

    def s3(self, address, body):
        host = self.headers["Host"].split(":")[0]
        path = urllib.parse.unquote(address.path)
        if host.endswith(".localhost"):
            bucket, key = host[:-len(".localhost")], path[1:]
        else:
            bucket, _, key = path[1:].partition("/")
        self.skew = 3600 if bucket == "skewed" else 0
        self.most = 4 << 20 if bucket == "curt" else None
        if bucket not in REGIONS:
            raise Refusal(404, "NoSuchBucket")
        self.check(address, body, bucket)
        file = pathlib.Path(sys.argv[1]) / key
        query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        if self.command == "PUT" and "partNumber" not in query:
            return self.keep(file, body, dict(self.headers))
        if self.command != "GET" and query:
            return self.multipart(file, query, body)
        if self.command == "HEAD" and file.is_file():
            return self.answer(200, file.read_bytes(), **STATE["meta"].get(str(file), {}))
        if self.command == "GET" and file.is_file():
            return self.send_object(file.read_bytes())
        raise Refusal(403, "AccessDenied") if bucket == "closed" else Refusal(404, "NoSuchKey")

    def keep(self, file, data, headers):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, ns=(time.time_ns(),) * 2)  # the kernel's own times have ticks of some ms
        names = ("Content-Type", "Cache-Control", "X-Amz-Meta-Sha256")
        STATE["meta"][str(file)] = {name: headers[name] for name in names if name in headers}
        STATE["kept"] += 1
        return self.answer(200, ETag=f'"{hashlib.md5(data).hexdigest()}"')

    def multipart(self, file, query, body):
        """The second part is lost once, and must be sent again; nobody may leave an upload open."""
        uploads = STATE["uploads"]
        if "uploads" in query:
            name = f"upload/{len(uploads) + 1}+"
            uploads[name] = {"headers": dict(self.headers), "parts": {}, "lost": False}
            return self.answer(200, f"<R><UploadId>{name}</UploadId></R>".encode())
        upload = uploads.get(query.get("uploadId"))
        if not upload:
            raise Refusal(404, "NoSuchUpload")
        if self.command == "DELETE":
            del uploads[query["uploadId"]]
            return self.answer(204)
        if self.command == "PUT":
            if query["partNumber"] == "2" and not upload["lost"]:
                upload["lost"] = True
                raise Refusal(400, "RequestTimeout") if "lost" in file.name else Refusal(503, "SlowDown")
            if "refused" in file.name:
                raise Refusal(400, "EntityTooSmall")
            upload["parts"][int(query["partNumber"])] = body
            return self.answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')
        data = b"".join(part for _, part in sorted(upload["parts"].items()))
        for part in upload["parts"].values():
            if hashlib.md5(part).hexdigest() not in body.decode():
                raise Refusal(400, "InvalidPart")
        del uploads[query["uploadId"]]
        if "lost" in file.name:
            self.wfile = io.BytesIO()  # nobody hears of it
            self.close_connection = True
        return self.keep(file, data, upload["headers"])

    def send_object(self, data):
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            return self.answer(304, ETag=etag)
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes="):
            return self.answer(200, data, ETag=etag)
        first, _, last = asked[6:].partition("-")
        first, last = int(first), min(int(last or len(data) - 1), len(data) - 1)
        return self.answer(206, data[first:last + 1], ETag=etag,
                           Content_Range=f"bytes {first}-{last}/{len(data)}")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)
