"""A general OAuth 2.0 client, Authlib's, gets a token in each way it knows and uses it."""

import json
import os

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session


def main() -> None:
    """Get a token by Basic and by form, and read the sites with it."""
    found = {}
    for method in ("client_secret_basic", "client_secret_post"):
        session = OAuth2Session(
            os.environ["CLIENT_ID"],
            os.environ["CLIENT_SECRET"],
            token_endpoint_auth_method=method,
            scope="read",
        )
        url = os.environ["BASE_URL"] + "/v1/operator/oauth/token"
        token = session.fetch_token(url, grant_type="client_credentials")
        answer = session.get(os.environ["BASE_URL"] + "/v1/operator/sites")
        answer.raise_for_status()
        found[method] = [token["token_type"], token["expires_in"], answer.json()["data"]["total"]]
    try:
        OAuth2Session(os.environ["CLIENT_ID"], "not-the-secret").fetch_token(
            url, grant_type="client_credentials"
        )
    except OAuthError as error:
        found["refused"] = error.error
    print(json.dumps(found))


if __name__ == "__main__":
    main()
