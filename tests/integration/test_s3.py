"""A private bucket as the repository: s3rver, which checks every signature, and roles' keys from where AWS gives them."""

import json
import os
import pathlib
import random
import re
import shutil
import signal

import build
import pytest
from shop import REPOSITORY

AWS = pathlib.Path(__file__).resolve().parents[1] / "unit/fetch/aws.py"
ENDPOINT = "http://127.0.0.1:4568"
BUCKET = "my-releases"
KEYS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
ROLE = "S3RVER:S3RVER"
FOR_EVER = "public, max-age=31536000, immutable"


def start_aws(shop, handed_key=None):
    """aws.py in the host, with /srv/bucket to serve; returns its address."""
    shop.host.path("/srv/bucket").mkdir(exist_ok=True)
    shutil.copy(AWS, shop.host.path("/srv/aws.py"))
    key = f"HANDED_KEY={handed_key}" if handed_key else ""
    shop.host.service("aws", "sh", "-c", f"tail -f /dev/null | {key} python3 -B /srv/aws.py /srv/bucket >/srv/aws.port")
    port = shop.host.path("/srv/aws.port")
    shop.host.until(lambda: port.exists() and port.read_text().endswith("\n"), what="the start of aws.py")
    return f"http://127.0.0.1:{port.read_text().strip()}"


def handed(shop, address):
    """How many keys aws.py handed out."""
    return int(shop.host.run("curl", "-sS", f"{address}/count").stdout.split()[0])


def let_units_see(shop, **variables):
    """Variables of all units that are started from now on: as the machine's own configuration would have them."""
    shop.host.run("systemctl", "set-environment", *(f"{name}={value}" for name, value in variables.items()))


@pytest.fixture
def bucket(shop, npm):
    """s3rver in the shop's host with an empty bucket, which is the shop's repository."""
    shutil.copytree(npm("s3rver"), shop.host.path("/srv/s3rver"))
    shop.host.service("s3", "node", "/srv/s3rver/node_modules/s3rver/bin/s3rver.js", "-d", "/srv/s3", "-a", "127.0.0.1",
                      "--configure-bucket", BUCKET)
    shop.host.until(lambda: shop.host.run("curl", "-so", "/dev/null", ENDPOINT, check=False).returncode == 0, what="the start of s3rver")
    shop.configure(f"[Repository]\nUrl=s3://{BUCKET}/shop\nS3Endpoint={ENDPOINT}\nS3PathStyle=yes\n")
    return shop.host.path(f"/srv/s3/{BUCKET}/shop")


def push(shop, **options):
    return shop.releasemgr("repo", "push", f"s3://{BUCKET}/shop", "--repo", REPOSITORY, "--s3-endpoint", ENDPOINT,
                           "--s3-path-style", "--json", env=KEYS, **options)


def headers(bucket, name):
    """What the server was told about an object, and sends with it."""
    return json.loads((bucket / f"{name}._S3rver_metadata.json").read_text())


def objects(bucket):
    """{name: content} of the bucket."""
    end = "._S3rver_object"
    return {str(p.relative_to(bucket))[:-len(end)]: p.read_bytes() for p in bucket.rglob("*" + end)}


def local(shop):
    root = shop.host.path(REPOSITORY)
    return {str(p.relative_to(root)): p.read_bytes() for kind in ("targets", "metadata")
            for p in (root / kind).rglob("*") if p.is_file()}


def check_headers(bucket):
    for name in objects(bucket):
        said = headers(bucket, name)
        assert said["cache-control"] == ("no-cache" if name.endswith("/timestamp.json") else FOR_EVER), name
        if name.startswith("metadata/"):
            assert said["content-type"] == "application/json", name


def test_push_in_parts_and_activate_with_the_instances_role(shop, bucket):
    shop.publish("1.1.0", "--patches=0", extra={"data.bin": random.Random(1).randbytes(20 << 20)})
    push(shop)
    assert objects(bucket) == local(shop)
    assert max(map(len, objects(bucket).values())) > 16 << 20  # this one went in parts
    check_headers(bucket)

    nobody = shop.releasemgr("activate", "1.1.0", check=False)
    assert nobody.returncode == 1 and "no AWS credentials" in nobody.stderr
    imds = start_aws(shop, ROLE)
    let_units_see(shop, AWS_EC2_METADATA_SERVICE_ENDPOINT=imds)
    shop.releasemgr("activate", "1.1.0")
    assert shop.current() == "releases/1.1.0"
    assert handed(shop, imds) == 1


def test_a_push_that_is_killed_is_taken_up_by_the_next(shop, bucket):
    """In the middle of a file in parts: nobody is sent to what is not there yet, and what came whole is not sent again."""
    def parts():
        return {part for part in bucket.parent.glob("._S3rver_uploads/*/*") if part.name.isdigit()}

    def whole():
        return {name: (bucket / f"{name}._S3rver_object").stat().st_mtime_ns for name, content in objects(bucket).items()
                if content == local(shop).get(name) and name.startswith("targets/")}

    push(shop)
    shop.publish("1.1.0", "--patches=0", extra={"data.bin": random.Random(1).randbytes(60 << 20)})
    for _ in range(2):
        before = parts()
        process = shop.host.spawn("releasemgr", "repo", "push", f"s3://{BUCKET}/shop", "--repo", REPOSITORY,
                                  "--s3-endpoint", ENDPOINT, "--s3-path-style", env=KEYS)
        shop.host.until(lambda: parts() - before, what="the first part")
        process.signal(signal.SIGKILL)
        assert process.communicate().returncode != 0
        shop.releasemgr("list", "--refresh", env=KEYS)
    assert not any("1.1.0.tar.zst" in name and name.endswith(".zst") for name in objects(bucket))
    kept = whole()
    push(shop)
    assert objects(bucket) == local(shop)
    assert kept and kept.items() <= whole().items()
    shop.releasemgr("activate", "1.1.0", env=KEYS)


def test_the_timers_service_fetches_from_a_bucket(shop, bucket):
    """With a profile in root's home, which the unit's sandbox must leave readable; then with a container's role."""
    push(shop)
    shop.host.shell("install -Dm 600 /dev/stdin ~/.aws/credentials",
                    input="[web]\naws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n")
    shop.host.write("/etc/systemd/system/releasemgr-pull@.service.d/aws.conf", "[Service]\nEnvironment=AWS_PROFILE=web\n")
    shop.host.run("systemctl", "daemon-reload")
    shop.publish("1.1.0")
    push(shop)
    shop.host.run("systemctl", "start", "releasemgr-pull@shop.service")
    assert shop.current() == "releases/1.1.0"

    container = start_aws(shop, ROLE)
    shop.host.write("/srv/token", "Basic abc\n", 0o600)
    shop.host.write("/etc/systemd/system/releasemgr-pull@.service.d/aws.conf",
                    f"[Service]\nEnvironment=AWS_CONTAINER_CREDENTIALS_FULL_URI={container}/container\n"
                    "Environment=AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/srv/token\n")
    shop.host.run("systemctl", "daemon-reload")
    shop.publish("1.2.0")
    push(shop)
    shop.host.run("systemctl", "start", "releasemgr-pull@shop.service")
    assert shop.current() == "releases/1.2.0"
    assert handed(shop, container) == 1


def test_variables_of_the_shell_reach_the_deployment_and_nobody_else(shop, bucket):
    shop.publish("1.1.0")
    push(shop)
    shop.host.spawn("sh", "-c", "while sleep 0.02; do systemctl show 'releasemgr-shop-*.service'; done >/srv/seen")
    shop.releasemgr("activate", "1.1.0", env={**KEYS, "AWS_SECRET_ACCESS_KEY": "S3RVER", "no_proxy": "a 'b' \"$c\" \\"})
    assert shop.current() == "releases/1.1.0"
    seen = shop.host.read("/srv/seen")
    assert "Id=releasemgr-shop-" in seen
    assert "S3RVER" not in seen


def test_a_key_that_ends_in_the_middle_of_a_download_is_renewed(shop):
    """aws.py takes only the newest key it handed out, and says ExpiredToken of the others, as AWS does."""
    shop.publish("1.1.0", "--patches=0", extra={"data.bin": random.Random(2).randbytes(12 << 20)})
    address = start_aws(shop)
    shop.releasemgr("repo", "push", "s3://curt/shop", "--repo", REPOSITORY, "--s3-endpoint", address,
                    "--s3-path-style", env={"AWS_ACCESS_KEY_ID": "STATIC", "AWS_SECRET_ACCESS_KEY": "secret-static"})
    shop.configure(f"[Repository]\nUrl=s3://curt/shop\nS3Endpoint={address}\nS3PathStyle=yes\nMaxRate=2M\n")
    let_units_see(shop, AWS_EC2_METADATA_SERVICE_ENDPOINT=address)
    process = shop.host.spawn("releasemgr", "--json", "activate", "1.1.0")
    ended = 0
    for line in process.popen.stdout:
        event = json.loads(line)
        if event["event"] == "bytes" and ended < 2 and event["done"] > (4 * ended + 1) << 20:
            ended += 1
            # somebody else asks, and so ours is the newest no longer: 3 MiB before it is needed again
            shop.host.shell(f"curl -sS -H 'X-aws-ec2-metadata-token: imds-token==' "
                            f"{address}/latest/meta-data/iam/security-credentials/the-role")
    assert process.wait() == 0
    assert ended == 2
    assert shop.current() == "releases/1.1.0"
    assert handed(shop, address) >= 2 * ended + 1


def test_the_commands_of_the_readme_send_what_push_sends(shop, bucket):
    """Those for AWS's own tool, as they stand there; only the server's address is added."""
    text = re.search(r"^## From a bucket\n(.*?)^## ", (build.SOURCE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    steps = [block for block in re.findall(r"^```sh\n(.*?)^```", text.group(1), re.DOTALL | re.MULTILINE) if "aws " in block]
    shop.host.run("ln", "-s", REPOSITORY, "/srv/releases")
    for version in ("1.1.0", "1.2.0"):
        shop.publish(version)
        for step in steps:
            shop.host.shell(f"aws() {{ command aws --endpoint-url {ENDPOINT} \"$@\"; }}\n{step}",
                            env={**KEYS, "AWS_DEFAULT_REGION": "us-east-1"})
        assert objects(bucket) == local(shop)
        check_headers(bucket)
        shop.releasemgr("activate", version, env=KEYS)
        assert shop.current() == f"releases/{version}"
    assert json.loads(push(shop).stdout.splitlines()[-1])["sent"] == len(local(shop))  # our own mark is not on them


def test_a_clock_that_is_wrong_is_corrected(shop):
    """The server's clock is an hour ahead."""
    shop.publish("1.1.0")
    address = start_aws(shop)
    shop.releasemgr("repo", "push", "s3://skewed/shop", "--repo", REPOSITORY, "--s3-endpoint", address,
                    "--s3-path-style", env={"AWS_ACCESS_KEY_ID": "STATIC", "AWS_SECRET_ACCESS_KEY": "secret-static"})
    shop.configure(f"[Repository]\nUrl=s3://skewed/shop\nS3Endpoint={address}\nS3PathStyle=yes\n")
    let_units_see(shop, AWS_EC2_METADATA_SERVICE_ENDPOINT=address)
    shop.releasemgr("activate", "1.1.0")
    assert shop.current() == "releases/1.1.0"
