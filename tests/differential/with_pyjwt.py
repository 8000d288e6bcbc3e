"""Prints PyJWT's verdict on each token of a file: `accepted`, or the exception's name. The first line is the setting."""

import datetime
import json
import sys
import warnings

import jwt
import jwt.api_jwt

warnings.simplefilter("ignore")
with open(sys.argv[1], encoding="utf-8") as file:
    setting, *tokens = [json.loads(line) for line in file]


class Clock(datetime.datetime):
    """The test's clock, because PyJWT reads the machine's."""

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(setting["now"], tz)


jwt.api_jwt.datetime = Clock
issuers = [
    (issuer["issuer"], {key.get("kid"): (jwt.PyJWK.from_dict(key), key["alg"]) for key in issuer["keys"]})
    for issuer in setting["issuers"]
]


def verdict(token, issuer, keys):
    """Verifies as PyJWT's documentation says: the key of `kid`, or the only one if it has no name; its one algorithm,
    issuer, audience, required claims."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        if None in keys:
            key, algorithm = keys[None]
        elif not isinstance(kid, str) or kid not in keys:
            return "no such key"
        else:
            key, algorithm = keys[kid]
        jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=setting["audience"],
            leeway=setting["leeway"],
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )
        return "accepted"
    except Exception as error:  # any exception means that the token is not accepted
        return type(error).__name__


for token in tokens:
    verdicts = [verdict(token, issuer, keys) for issuer, keys in issuers]
    said = [one for one in verdicts if one == "accepted"] or [one for one in verdicts if one != "no such key"] or verdicts
    print(said[0])
