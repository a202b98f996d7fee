"""Who is asking: an App by its signed JWT, an installation or a person by a token, or nobody."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt

from deploy.sandbox.rest.exchange import Refusal
from deploy.sandbox.world.model import Account, App, Installation, Repository, Role
from deploy.sandbox.world.state import World

JWT_LONGEST = timedelta(minutes=10)
NOT_DECODED = "A JSON web token could not be decoded"
NOT_BY_INTEGRATION = "Resource not accessible by integration"
_RANK = {"read": 1, "write": 2, "admin": 3}


@dataclass(eq=False)
class Token:
    """A token and what it is good for. Installation tokens expire, personal ones do not."""

    text: str
    account: Account
    installation: Installation | None = None
    repository_ids: frozenset[int] | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    expires: datetime | None = None
    revoked: bool = False


@dataclass(frozen=True)
class Actor:
    """The one who asks. `name` keys rate limits and the journal."""

    name: str
    account: Account | None = None
    app: App | None = None
    token: Token | None = None

    @property
    def installation(self) -> Installation | None:
        """The installation whose token this is, if it is one."""
        return self.token.installation if self.token else None

    @property
    def is_app(self) -> bool:
        """True for a JWT: the App itself, not one of its installations."""
        return self.app is not None and self.token is None

    def in_scope(self, repository: Repository) -> bool:
        """True when an installation token was made for this repository."""
        token = self.token
        if token is None or token.installation is None:
            return False
        narrowed = token.repository_ids is None or repository.id in token.repository_ids
        return narrowed and token.installation.covers(repository)

    def sees(self, repository: Repository) -> bool:
        """True when the repository exists for this actor at all."""
        if not repository.private or self.in_scope(repository):
            return True
        person = self.account is not None and self.installation is None
        return person and self.role(repository) is not None

    def role(self, repository: Repository) -> Role | None:
        """A person's role; None for Apps and strangers to a private repository."""
        if self.account is None or self.installation is not None:
            return None
        return repository.role_of(self.account)

    def granted(self, permission: str, level: str) -> bool:
        """True when an installation token carries a permission. Metadata always reads."""
        if self.token is None:
            return False
        if permission == "metadata" and level == "read":
            return True
        held = self.token.permissions.get(permission, "")
        return _RANK.get(held, 0) >= _RANK[level]


class Tokens:
    """The tokens in use. `lifetime` is how long new installation tokens live."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lifetime = timedelta(hours=1)
        self._known: dict[str, Token] = {}

    def personal(self, account: Account) -> Token:
        """A token that acts as this person (or bot), made once."""
        for token in self._known.values():
            if token.account is account and token.installation is None and not token.revoked:
                return token
        return self._keep(Token(f"ghp_{secrets.token_hex(18)}", account))

    def for_installation(
        self,
        installation: Installation,
        repository_ids: frozenset[int] | None,
        permissions: dict[str, str],
    ) -> Token:
        """A fresh installation token."""
        return self._keep(
            Token(
                _long_token(installation),
                installation.app.bot,
                installation,
                repository_ids,
                permissions,
                self.world.now() + self.lifetime,
            )
        )

    def _keep(self, token: Token) -> Token:
        self._known[token.text] = token
        return token

    def find(self, text: str) -> Token | None:
        """The token if it is still good: not revoked, not expired, its installation alive."""
        token = self._known.get(text)
        if token is None or token.revoked:
            return None
        if token.expires is not None and self.world.now() >= token.expires:
            return None
        alive = self.world.installations
        if token.installation is not None and token.installation.id not in alive:
            return None
        return token

    def revoke_installations(self) -> int:
        """Revoke every installation token at once; how many were good until now."""
        live = [t for t in self._known.values() if t.installation and self.find(t.text)]
        for token in live:
            token.revoked = True
        return len(live)


def _long_token(installation: Installation) -> str:
    """The format in use since 2026: about 520 characters, with dots."""

    def part(size: int) -> str:
        return base64.urlsafe_b64encode(secrets.token_bytes(size)).decode().rstrip("=")

    return f"ghs_{installation.app.id}_{part(27)}.{part(96)}.{part(256)}"


def identify(world: World, tokens: Tokens, header: str, *, wants_app: bool) -> Actor:
    """The actor behind an Authorization header. Refusal 401 or 403 when it does not hold.

    wants_app: the route is for Apps, so that anything but a good JWT is a JWT that failed.
    """
    scheme, _, credential = header.partition(" ")
    credential = credential.strip()
    if wants_app:
        app = _app_of(world, credential if scheme.casefold() == "bearer" else "")
        return Actor(f"app {app.id}", app.bot, app)
    if not header:
        return Actor("anonymous")
    if scheme.casefold() not in ("bearer", "token"):
        raise Refusal(401, "Requires authentication")
    token = tokens.find(credential)
    if token is None:
        raise Refusal(401, "Bad credentials")
    installation = token.installation
    if installation is None:
        return Actor(f"person {token.account.login}", token.account, token=token)
    if installation.suspended:
        raise Refusal(403, "This installation has been suspended")
    return Actor(f"installation {installation.id}", token.account, installation.app, token)


def _app_of(world: World, text: str) -> App:
    """The App that signed a JWT. Each mistake has the message GitHub gives for it."""
    try:
        claims = jwt.decode(text, options={"verify_signature": False})
        algorithm = jwt.get_unverified_header(text).get("alg")
    except jwt.InvalidTokenError as error:
        raise Refusal(401, NOT_DECODED) from error
    if algorithm != "RS256":
        raise Refusal(401, NOT_DECODED)
    if "iss" not in claims:
        raise Refusal(401, "Missing 'issuer' claim ('iss') in assertion")
    issuer = str(claims["iss"])
    app = next((a for a in world.apps.values() if issuer in (str(a.id), a.client_id)), None)
    if app is None:
        raise Refusal(404, "Integration not found")
    if app.public_key is None:
        raise Refusal(401, "Integration must generate a public key")
    _check_times(world, claims)
    try:
        jwt.decode(
            text,
            app.public_key,
            algorithms=["RS256"],
            # The times were checked above, by the stand-in's own clock.
            options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
        )
    except jwt.InvalidTokenError as error:
        raise Refusal(401, NOT_DECODED) from error
    return app


def _check_times(world: World, claims: dict[str, Any]) -> None:
    now = world.now().timestamp()
    expires, issued = claims.get("exp"), claims.get("iat")
    if not isinstance(expires, int | float):
        raise Refusal(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future"
            " time at which the assertion expires",
        )
    if expires <= now:
        raise Refusal(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future"
            " time at which the assertion expires",
        )
    if expires > now + JWT_LONGEST.total_seconds():
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
    # now() is in whole seconds; the caller's clock may already be in the next one.
    if not isinstance(issued, int | float) or issued >= now + 1:
        raise Refusal(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the"
            " assertion was issued",
        )


def check_role(actor: Actor, repository: Repository, least: Role) -> None:
    """Refuse a person whose role is too weak, and callers without any identity."""
    if actor.account is None:
        raise Refusal(401, "Requires authentication")
    role = actor.role(repository)
    if role is None or not role.covers(least):
        raise Refusal(403, "Must have admin rights to Repository.")
