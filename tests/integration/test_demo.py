"""The main job, end to end: the very story that tests/demo tells."""

import demo
from host import Host
from shop import Shop


def test_story(layers, capsys):
    with Host(layers) as host:
        shop = Shop(host).start_servers()
        demo.Demo(shop, demo.Teller(colour=False)).run()
        assert shop.front_page()["version"] == "1.1.0"
        assert shop.current() == "releases/1.1.0"
        history = list(reversed(shop.history()))
        assert [(e["verb"], e["version"], e["verdict"]) for e in history] == [
            ("activate", "1.0.0", "succeeded"),
            ("activate", "1.1.0", "succeeded"),
            ("activate", "1.2.0", "taken-back"),
            ("activate", "1.3.0", "taken-back"),
            ("rollback", "1.0.0", "succeeded"),
            ("pull", "1.1.0", "succeeded"),
        ]
        # the database went to 1.1.0's schema and stayed there
        assert [row[0] for row in shop.database.query("SHOW TABLES LIKE 'visits'")] == ["visits"]
    assert "clients waited" in capsys.readouterr().out
