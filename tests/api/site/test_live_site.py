"""The site as a server serves it: pages, health and metrics beside the API."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.server import RunningServer


def _samples(server: RunningServer) -> dict[tuple[str, str], float]:
    page = httpx.get(f"{server.base_url}/metrics").text
    return {
        (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_site__head_and_get__tell_the_same(server: RunningServer) -> None:
    """HEAD answers like GET, without the body."""
    for path in ("/", "/docs", "/openapi.json", "/docs/assets/swagger-ui-bundle.js", "/nothing"):
        head, full = httpx.head(server.base_url + path), httpx.get(server.base_url + path)
        assert head.status_code == full.status_code
        assert head.content == b""
        assert head.headers["content-length"] == str(len(full.content))


def test_site__request_ids__are_shared_with_the_api_and_never_repeat(server: RunningServer) -> None:
    """No two answers of a server carry one identifier, whether page or API."""
    paths = ("/", "/livez", "/v1/operator/sites", "/nothing", "/v1/nothing") * 5
    answers = [httpx.get(server.base_url + path) for path in paths]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(paths)
    assert all("date" in answer.headers for answer in answers)


def test_site__health__is_well(server: RunningServer) -> None:
    """A server that serves is live and ready, with every check shown and well."""
    assert httpx.get(f"{server.base_url}/livez").status_code == 200
    checks = httpx.get(f"{server.base_url}/readyz?verbose").json()["data"]["checks"]
    assert {check["name"] for check in checks} == {
        "storage", "writer_queue", "draining", "migrations",
    }  # fmt: skip
    assert all(check["ok"] for check in checks)


def test_metrics__calls__are_counted_where_they_belong(server: RunningServer) -> None:
    """Requests by operation, samples and repeats, devices, commits: each counts what happened."""
    device = server.register()
    before = _samples(server)
    sample = {
        "timestamp": "2026-03-02T06:41:05Z", "connector_id": 1, "state": "charging",
        "voltage": 400.0, "current": 50.0, "power": 20.0, "energy_delivered": 1.0,
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {device.token}"}
    for _ in range(3):
        url = f"{server.base_url}/v1/device/telemetry"
        assert httpx.post(url, json=sample, headers=headers).status_code == 200
    assert httpx.get(f"{server.base_url}/v1/operator/sites").status_code == 401
    after = _samples(server)

    def grown(name: str, labels: str = "") -> float:
        return after[name, labels] - before.get((name, labels), 0.0)

    assert grown("tellus_http_requests_total", "operation=uploadTelemetry,status=200") == 3
    assert grown("tellus_http_requests_total", "operation=listSites,status=401") == 1
    assert grown("tellus_telemetry_samples_total", "outcome=stored") == 1
    assert grown("tellus_telemetry_samples_total", "outcome=duplicate") == 2
    assert grown("tellus_storage_batches_total") >= 1
    assert after["tellus_connections_open", ""] >= 1
    assert after["tellus_event_loop_lag_seconds_count", ""] >= 1
    assert after["process_resident_memory_bytes", ""] > 1_000_000


def test_document__of_a_running_server__has_every_route_and_any_origin_may_read_it(
    server: RunningServer,
) -> None:
    """The served document is OpenAPI 3.1 with relative server address, for whoever asks."""
    answer = httpx.get(f"{server.base_url}/openapi.json", headers={"Origin": "https://a.example"})
    document = answer.json()
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/v1"}]
    assert len(document["paths"]) > 30
    assert answer.headers["access-control-allow-origin"] == "*"
