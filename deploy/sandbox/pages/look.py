"""Small things templates ask for: times one can feel, faces one can tell apart."""

from __future__ import annotations

from datetime import datetime

from deploy.sandbox.world.model import Account

_STEPS = ((60, "minute"), (24, "hour"), (7, "day"), (5, "week"))


def ago(time: datetime, now: datetime) -> str:
    """«just now», «3 minutes ago», or the date for what is long past."""
    amount = int((now - time).total_seconds()) // 60
    if amount < 1:
        return "just now"
    for size, unit in _STEPS:
        if amount < size:
            return f"{amount} {unit}{'s' * (amount != 1)} ago"
        amount //= size
    return time.strftime("on %d %B %Y").replace("on 0", "on ")


def avatar(account: Account) -> str:
    """A disc with an initial for people, a rounded square for bots; the colour follows the id."""
    hue = account.id * 137 % 360  # the golden angle keeps neighbours apart
    shape = (
        '<rect width="40" height="40" rx="11"'
        if account.is_bot
        else '<circle cx="20" cy="20" r="20"'
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
        f'{shape} fill="hsl({hue} 45% 38%)"/>'
        '<text x="20" y="26.5" text-anchor="middle" font-family="system-ui,sans-serif"'
        f' font-size="19" font-weight="600" fill="#fff">{account.login[0].upper()}</text></svg>'
    )
