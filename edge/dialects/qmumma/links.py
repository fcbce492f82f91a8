"""What can be asked next of what an answer names: the links of the document, each declared once."""

from __future__ import annotations

from edge.operations import Link

_BODY = "$response.body"
_OF_A_JOB = {
    "getJob": "Read the job.",
    "cancelJob": "Cancel it, while it has not ended.",
    "streamJobEvents": "Follow it.",
    "getJobDecision": "See why it runs where it runs.",
    "getJobResult": "Download its result, once it is completed.",
    "getCertificate": "Download its certificate, once it is completed.",
    "getEvidence": "Download all that proves it, once it is completed.",
}
_OF_A_KEY = {"rotateKey": "Replace the key.", "revokeKey": "Revoke it."}
_OF_BITS = {"getEntropyRecord": "Read their record again.", "getEntropyPlot": "See their p-values."}


def of_job(place: str, *but: str) -> tuple[Link, ...]:
    """The operations on the job whose id is at `place` of the answer, `but` some."""
    return tuple(_link(each, text, job_id=place) for each, text in _OF_A_JOB.items() if each not in but)


def of_key(place: str) -> tuple[Link, ...]:
    """The operations on the key whose id is at `place`."""
    return tuple(_link(each, text, key_id=place) for each, text in _OF_A_KEY.items())


def of_bits() -> tuple[Link, ...]:
    """The operations on certified bits."""
    return tuple(_link(each, text, entropy_id="/entropy_id") for each, text in _OF_BITS.items())


def of_delivery(place: str) -> tuple[Link, ...]:
    """Sending the delivery whose id is at `place` again."""
    return (_link("retryWebhookDelivery", "Send it again.", delivery_id=place),)


def of_month(place: str) -> tuple[Link, ...]:
    """Reading the statement of the month at `place`."""
    return (_link("getStatement", "Read its statement.", month=place),)


def of_algorithm(place: str) -> tuple[Link, ...]:
    """Reading the algorithm whose id is at `place`."""
    return (_link("getAlgorithm", "Read its schemas.", algorithm_id=place),)


def of_example(place: str) -> tuple[Link, ...]:
    """Running, and asking the price of, the job whose body is at `place`."""
    return (
        Link(operation="submitJob", description="Run its example.", body=f"{_BODY}#{place}"),
        Link(operation="quoteJob", description="Ask what its example would cost.", body=f"{_BODY}#{place}"),
    )


def of_record() -> tuple[Link, ...]:
    """What proves the signed record that is the whole answer."""
    return (
        Link(operation="verifySignedAnswer", description="Check the answer, as it is.", body=_BODY),
        _link("getAnchor", "Look its entry of the log up.", txid="/blockchain_anchor"),
    )


def next_page(operation: str, place: str) -> tuple[Link, ...]:
    """The page that begins after the id at `place`."""
    return (_link(operation, "Read on after it.", after=place),)


def _link(operation: str, description: str, **places: str) -> Link:
    parameters = {name: f"{_BODY}#{place}" for name, place in places.items()}
    return Link(operation=operation, description=description, parameters=parameters)
