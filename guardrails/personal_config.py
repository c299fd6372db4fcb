"""Settings of the rail `check personal data`, for questions and for answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Action = Literal["mask", "refuse", "allow"]

REGIONS = tuple(
    "US GB DE FR ES IT NL BE CH AT SE NO DK FI PL CZ PT IE IN AU NZ JP BR MX ZA".split()
)


class PersonalConfig(BaseModel):
    """What happens to each kind: `mask` rewrites the text, `refuse` blocks it, `allow` ignores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: Action = Field("mask", description="E-mail addresses.")
    phone: Action = Field("mask", description="Phone numbers.")
    card: Action = Field("mask", description="Payment card numbers.")
    iban: Action = Field("mask", description="Bank account numbers.")
    ip: Action = Field("allow", description="Public IP addresses; administrators paste them.")
    national_id: Action = Field("mask", description="Social security and similar numbers.")
    key: Action = Field("mask", description="Private keys, tokens of a known format.")
    password: Action = Field("mask", description="Values that are said to be a password or token.")
    phone_regions: tuple[str, ...] = Field(
        REGIONS,
        description="Countries (ISO 3166, two letters) whose national phone numbers are known.",
    )
    max_chars: int = Field(
        50_000, ge=1_000, le=2_000_000, description="A longer text is blocked unread."
    )

    @field_validator("phone_regions")
    @classmethod
    def _known(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        import phonenumbers

        unknown = sorted(set(regions) - set(phonenumbers.SUPPORTED_REGIONS))
        if unknown:
            raise ValueError(f"no such region: {', '.join(unknown)}; write US, GB, DE, ...")
        return regions


class PersonalOutputConfig(PersonalConfig):
    """For answers: what neither the question nor a passage holds was made up, or leaked."""

    email: Action = Field("refuse", description="E-mail addresses.")
    phone: Action = Field("refuse", description="Phone numbers.")
    card: Action = Field("refuse", description="Payment card numbers.")
    iban: Action = Field("refuse", description="Bank account numbers.")
    ip: Action = Field("refuse", description="Public IP addresses.")
    national_id: Action = Field("refuse", description="Social security and similar numbers.")
    key: Action = Field("refuse", description="Private keys, tokens of a known format.")
    password: Action = Field(
        "refuse", description="Values that are said to be a password or token."
    )
