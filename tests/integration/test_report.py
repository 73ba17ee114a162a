"""What others hear of a deployment: the webhook and the metrics."""

import json
import os

TOKEN = "sesame"
# Writes down what it is sent, one JSON line a request; the first one is turned away.
LISTENER = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    seen = 0
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Handler.seen += 1
        status = 503 if Handler.seen == 1 else 204
        with open("/srv/heard", "a") as f:
            print(json.dumps({"status": status, "path": self.path, "as": self.headers["Authorization"],
                              "body": json.loads(body)}), file=f)
        self.send_response(status)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8100), Handler).serve_forever()
"""
METRICS = "/var/lib/node-exporter/shop.prom"


def heard(shop):
    path = shop.host.path("/srv/heard")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def settle(shop):
    shop.host.until(lambda: not shop.host.run("systemctl", "list-units", "--plain", "--no-legend",
                                              "releasemgr-shop-*.service").stdout.strip(), what="the deployment's unit")


def test_webhook_and_metrics(shop):
    shop.host.write("/srv/listener.py", LISTENER)
    shop.host.service("listener", "/usr/bin/python3", "/srv/listener.py")
    shop.host.write("/etc/releasemgr/shop.webhook", "http://127.0.0.1:8100/hooks/secret\n", 0o600)
    shop.host.write("/etc/releasemgr/shop.token", TOKEN + "\n", 0o600)
    shop.host.run("mkdir", "-p", os.path.dirname(METRICS))
    shop.configure("[Report]\nWebhookFile=/etc/releasemgr/shop.webhook\n"
                   f"WebhookTokenFile=/etc/releasemgr/shop.token\nMetricsFile={METRICS}\n")
    shop.host.until(lambda: shop.host.run("curl", "-s", "http://127.0.0.1:8100/", check=False).returncode == 0,
                    what="the listener")
    shop.publish("1.1.0")
    shop.releasemgr("activate", "1.1.0")
    settle(shop)
    turned_away, taken = heard(shop)
    assert turned_away["status"] == 503 and taken["status"] == 204
    assert (taken["path"], taken["as"]) == ("/hooks/secret", f"Bearer {TOKEN}")
    assert taken["body"] == shop.history()[0]
    assert taken["body"]["text"] == "1.1.0 is active and healthy"
    assert 'releasemgr_release_info{app="shop",version="1.1.0"} 1' in shop.host.read(METRICS)

    shop.publish("1.2.0", behaviour="exits")
    shop.releasemgr("activate", "1.2.0", check=False)
    settle(shop)
    assert heard(shop)[-1]["body"]["verdict"] == "taken-back"
    metrics = shop.host.read(METRICS)
    assert 'releasemgr_release_info{app="shop",version="1.1.0"} 1' in metrics
    assert 'version="1.2.0",verdict="taken-back"} 1' in metrics


def test_nobody_listens(shop):
    """What cannot be told changes nothing, and the secret address stands nowhere."""
    shop.host.write("/etc/releasemgr/shop.webhook", "http://127.0.0.1:8101/hooks/secret\n", 0o600)
    shop.configure("[Report]\nWebhookFile=/etc/releasemgr/shop.webhook\nMetricsFile=/nowhere/shop.prom\n")
    shop.publish("1.1.0")
    shop.releasemgr("activate", "1.1.0")
    settle(shop)
    assert shop.front_page()["version"] == "1.1.0"
    journal = shop.host.journal("-b")
    assert "the webhook cannot be reached" in journal and "/nowhere/shop.prom" in journal
    assert "hooks/secret" not in journal
