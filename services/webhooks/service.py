"""The RPCs of webhooks: check, call, answer."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable

from qm.type.v1.requester_pb2 import Requester
from qm.webhooks.v1 import webhooks_pb2 as pb

from mesh.audit import Deed
from mesh.call import Call
from services.webhooks.delivery import Delivery, DeliveryId, TeamId
from services.webhooks.messages import STATES, delivery_message, secret_message
from services.webhooks.sealed import ANSWER_PLACE, Sealed, StoredSecret
from services.webhooks.secrets import Secrets
from services.webhooks.store import Asked, WebhooksStore

_SERVICE = "webhooks"


class WebhooksService:
    """Answers qm.webhooks.v1.WebhooksService."""

    def __init__(
        self, store: WebhooksStore, secrets: Secrets, on_due: Callable[[], None], *, clock: Callable[[], dt.datetime]
    ) -> None:
        """Keep everything in `store`; `on_due` hears that a delivery is to be sent."""
        self._store = store
        self._secrets = secrets
        self._on_due = on_due
        self._clock = clock

    async def GetSecret(self, request: pb.GetSecretRequest, _call: Call) -> pb.GetSecretResponse:
        """Tell the secret that signs for the team."""
        team_id = TeamId(request.requester.team_id)
        return pb.GetSecretResponse(secret=self._shown(team_id, await self._secrets.current(team_id)))

    async def RotateSecret(self, request: pb.RotateSecretRequest, _call: Call) -> pb.RotateSecretResponse:
        """Make a new secret. Raises Conflict (IDEMPOTENCY_KEY_REUSED)."""
        team_id, now = TeamId(request.requester.team_id), self._clock()

        def answer(stored: StoredSecret) -> Sealed:
            content = pb.RotateSecretResponse(secret=self._shown(team_id, stored)).SerializeToString()
            return self._secrets.seal(team_id, content, ANSWER_PLACE)

        grace = request.grace.ToTimedelta()
        sealed, replayed = await self._store.rotate(
            _asked(request.requester, request.request_id, "rotate", str(grace)),
            self._secrets.new(team_id),
            expire_time=now + grace,
            now=now,
            answer=answer,
            deed=Deed.by(request.requester, _SERVICE, "webhook_secret.rotated", team_id, grace=str(grace)),
        )
        response = pb.RotateSecretResponse.FromString(self._secrets.unseal(team_id, sealed, ANSWER_PLACE))
        response.replayed = replayed
        return response

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, _call: Call) -> pb.ListDeliveriesResponse:
        """List the team's deliveries, newest first."""
        deliveries, more = await self._store.page(
            TeamId(request.requester.team_id),
            after=DeliveryId(request.after_delivery_id) if request.after_delivery_id else None,
            job_id=request.job_id or None,
            states=STATES.get(request.state),
            size=request.page_size,
        )
        return pb.ListDeliveriesResponse(deliveries=map(delivery_message, deliveries), has_more=more)

    async def RetryDelivery(self, request: pb.RetryDeliveryRequest, _call: Call) -> pb.RetryDeliveryResponse:
        """Send a delivery again. Raises NotFound (DELIVERY_NOT_FOUND) and Conflict (IDEMPOTENCY_KEY_REUSED)."""
        team_id, delivery_id = TeamId(request.requester.team_id), DeliveryId(request.delivery_id)

        def answer(delivery: Delivery) -> Sealed:
            content = pb.RetryDeliveryResponse(delivery=delivery_message(delivery)).SerializeToString()
            return self._secrets.seal(team_id, content, ANSWER_PLACE)

        sealed, replayed = await self._store.retry(
            _asked(request.requester, request.request_id, "retry", delivery_id),
            delivery_id,
            now=self._clock(),
            answer=answer,
            deed=Deed.by(request.requester, _SERVICE, "webhook_delivery.retried", delivery_id),
        )
        self._on_due()
        response = pb.RetryDeliveryResponse.FromString(self._secrets.unseal(team_id, sealed, ANSWER_PLACE))
        response.replayed = replayed
        return response

    def _shown(self, team_id: TeamId, stored: StoredSecret) -> pb.Secret:
        secret = self._secrets.open(team_id, stored.secret)
        return secret_message(secret, stored.create_time, stored.previous_expire_time)


def _asked(requester: Requester, request_id: str, *what: str) -> Asked:
    fingerprint = hashlib.sha256("\n".join(what).encode()).digest()
    return Asked(TeamId(requester.team_id), request_id, fingerprint)
