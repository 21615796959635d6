"""websocket-client reads the stream with the token in the header and with it in the query."""

import json
import os

import websocket


def main() -> None:
    """Read two frames each way, and see a foreign device refused before the upgrade."""
    base = os.environ["BASE_URL"].replace("http", "ws", 1) + "/v1/operator/stream"
    token, device_id = os.environ["TOKEN"], os.environ["DEVICE_ID"]
    found = {}
    for way, target, header in (
        ("header", f"{base}?devices={device_id}", [f"Authorization: Bearer {token}"]),
        ("query", f"{base}?devices={device_id}&token={token}", []),
    ):
        stream = websocket.create_connection(target, header=header, timeout=15)
        frames = [json.loads(stream.recv()) for _ in range(2)]
        stream.close()
        found[way] = [frame["device_id"] for frame in frames]
    try:
        websocket.create_connection(f"{base}?devices=dvc_nobody&token={token}", timeout=15)
    except websocket.WebSocketBadStatusException as error:
        found["foreign"] = [error.status_code, json.loads(error.resp_body)["code"]]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
