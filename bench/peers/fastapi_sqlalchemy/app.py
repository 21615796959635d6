"""What a web service for telemetry looks like by the book: validate, insert, commit, answer.

FastAPI with pydantic models, SQLAlchemy's asynchronous session, one commit per request on SQLite
in WAL mode with ``synchronous=FULL``, so that its 200 is as durable as the platform's.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from sqlalchemy import String, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

FOLDER = Path(os.environ["PEER_FOLDER"])
TOKENS = {
    line.split()[1]: int(line.split()[0])
    for line in (FOLDER / "peer_tokens.txt").read_text().splitlines()
}

engine = create_async_engine(f"sqlite+aiosqlite:///{FOLDER / 'peer.db'}")
sessions = async_sessionmaker(engine, expire_on_commit=False)


@event.listens_for(engine.sync_engine, "connect")
def make_durable(connection: Any, _record: Any) -> None:
    """Let every commit reach the disk."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()


class Base(DeclarativeBase):
    """The tables."""


class Sample(Base):
    """One sample; device, connector and time are its key."""

    __tablename__ = "samples"
    device: Mapped[int] = mapped_column(primary_key=True)
    connector_id: Mapped[int] = mapped_column(primary_key=True)
    time_ms: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    voltage: Mapped[float]
    current: Mapped[float]
    power: Mapped[float]
    energy_delivered: Mapped[float]
    soc: Mapped[int | None]
    temperature: Mapped[float | None]
    phases: Mapped[str | None]


class Phase(BaseModel):
    """One phase of the supply."""

    voltage: float
    current: float


class Phases(BaseModel):
    """The supply by phase."""

    phase_a: Phase | None = None
    phase_b: Phase | None = None
    phase_c: Phase | None = None


class Upload(BaseModel):
    """One sample on the wire."""

    timestamp: datetime
    connector_id: int = Field(ge=1, le=255)
    state: Literal["idle", "charging", "discharging", "fault", "unavailable"]
    voltage: float
    current: float
    power: float
    energy_delivered: float
    soc: int | None = Field(default=None, ge=0, le=100)
    temperature: float | None = None
    phase_details: Phases | None = None


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


def device_of(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> int:
    """Return whose token it is."""
    device = TOKENS.get(credentials.credentials)
    if device is None:
        raise HTTPException(401)
    return device


async def session() -> AsyncIterator[AsyncSession]:
    """Return the session of a request."""
    async with sessions() as one:
        yield one


@app.post("/v1/device/telemetry")
async def upload(
    sample: Upload,
    device: Annotated[int, Depends(device_of)],
    db: Annotated[AsyncSession, Depends(session)],
) -> dict[str, Any]:
    """Store one sample; a repeat changes nothing."""
    phases = sample.phase_details
    statement = insert(Sample).values(
        device=device,
        connector_id=sample.connector_id,
        time_ms=round(sample.timestamp.timestamp() * 1000),
        state=sample.state,
        voltage=sample.voltage,
        current=sample.current,
        power=sample.power,
        energy_delivered=sample.energy_delivered,
        soc=sample.soc,
        temperature=sample.temperature,
        phases=phases.model_dump_json() if phases else None,
    )
    await db.execute(statement.on_conflict_do_nothing())
    await db.commit()
    return {"code": 0, "message": "success", "data": None}
