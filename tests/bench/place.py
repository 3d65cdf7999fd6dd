"""Where the benchmark measures: the servers of a stack, and databases and topics of its own there."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy.engine import make_url

from deploy import migrate
from deploy.local.stack import Stack

POSTGRES, KAFKA = "BENCH_POSTGRES", "BENCH_KAFKA"


@dataclass(frozen=True)
class Place:
    """The database server (its administrator's URL) and the broker (`host:port`)."""

    postgres: str
    kafka: str

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """The servers of a stack."""
        return cls(stack.postgres_admin_url, stack.kafka)

    @classmethod
    def read(cls) -> Self:
        """What `environment` said to this process."""
        return cls(os.environ[POSTGRES], os.environ[KAFKA])

    def environment(self) -> dict[str, str]:
        """What a process that measures is told."""
        return {POSTGRES: self.postgres, KAFKA: self.kafka}

    @asynccontextmanager
    async def database(self, service: str | None = None) -> AsyncIterator[str]:
        """The URL of a new database: with the schema of a service, as its role; else empty, as its owner."""
        name = f"bench_{secrets.token_hex(6)}"
        owner, role = (self._url(f"{name}_{who}", name) for who in ("owner", "service"))
        await migrate.prepare(self.postgres, owner, role)
        if service is not None:
            await migrate.migrate(owner, service, f"{name}_service")
        try:
            yield owner if service is None else role
        finally:
            connection = await asyncpg.connect(migrate.dsn(self.postgres))
            try:
                await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
                await connection.execute(f"DROP ROLE {name}_owner, {name}_service")
            finally:
                await connection.close()

    def _url(self, role: str, database: str) -> str:
        changed = make_url(self.postgres).set(
            drivername="postgresql+asyncpg", username=role, password=secrets.token_hex(16), database=database
        )
        return changed.render_as_string(hide_password=False)

    async def drop_topics(self, prefix: str) -> None:
        """Delete the topics whose names begin so."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        try:
            await admin.start()
            mine = [topic for topic in await admin.list_topics() if topic.startswith(prefix)]
            await admin.delete_topics(mine)
        finally:
            await admin.close()
