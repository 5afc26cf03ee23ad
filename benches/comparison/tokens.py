"""A token (JWT, RFC 7519) with HS256, for the case about tokens."""

import base64
import hashlib
import hmac
import json

SECRET = "a-secret-of-thirty-two-bytes-xxxx"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token():
    """A token of a user, which expires in the year 2096."""
    head, claims = {"alg": "HS256", "typ": "JWT"}, {"sub": "ann", "iss": "https://id.test/", "exp": 4_000_000_000}
    message = b".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    tag = hmac.new(SECRET.encode(), message, hashlib.sha256).digest()
    return (message + b"." + encoded(tag)).decode()
