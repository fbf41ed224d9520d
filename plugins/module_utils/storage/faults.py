# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a store answers, and what sockets, TLS and boto3 raise, to one class of fault and a line for people."""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Callable

from ..causes import causes_of
from ..shapes import one_line

DENIED = "denied"
_ADVICE = {
    "not_configured": "the service's storage settings are not usable",
    "dns": "the name does not resolve: check AWS_S3_ENDPOINT_URL, AWS_S3_REGION and the host's resolver",
    "refused": "nothing can be reached there: check AWS_S3_ENDPOINT_URL, the firewall, and whether the store runs",
    "timeout": "no answer in time: check the way to the store (firewall, routes, security group, proxy), and its load",
    "tls": "no trusted connection: check the certificate, the CA bundle (AWS_CA_BUNDLE) and the host's clock",
    "unknown_key": "the store does not know this access key: check AWS_ACCESS_KEY_ID, or have a new key made",
    "bad_signature": (
        "the secret does not belong to this access key: check AWS_SECRET_ACCESS_KEY; or a proxy on the way changes the "
        "request: it must pass on the header Host and the path as they are"
    ),
    "bad_token": "the session token or the request is expired or not valid: renew the temporary credentials",
    "clock_skew": "the clocks of host and store differ too much: set the host's clock (timedatectl timesync-status)",
    "no_such_bucket": "the store has no such bucket: check AWS_S3_BUCKET_NAME and the endpoint, or have it created",
    "wrong_region": "the bucket is in another region or at another endpoint: check AWS_S3_REGION",
    "denied_list": "these credentials may not list the bucket: allow s3:ListBucket",
    "denied_put": "these credentials may not write: allow s3:PutObject (policy of the identity and of the bucket)",
    "denied_get": "these credentials may not read what they wrote: allow s3:GetObject",
    "denied_delete": "these credentials may not delete: allow s3:DeleteObject",
    "kms": "the key that encrypts the bucket cannot be used: allow kms:GenerateDataKey and kms:Decrypt, or enable it",
    "account": "the store does not serve this account (suspended, unpaid, not signed up): its owner must settle that",
    "full": "the account or the bucket is full or at its cap: raise the cap, or have objects deleted",
    "archived": "the object is in a cold class, and cannot be read before it is restored: see the bucket's lifecycle",
    "unsupported": (
        "the store does not know something that boto3 sends: set AWS_REQUEST_CHECKSUM_CALCULATION and "
        "AWS_RESPONSE_CHECKSUM_VALIDATION to when_required for the service, or use an older boto3"
    ),
    "throttled": "the store asks for fewer requests: lower the load or wait; a restart does not help",
    "read_only": "the store takes no writes: its operator must say why",
    "dropped": (
        "the connection broke off before the answer was whole: look at what stands in between (proxy, firewall, load "
        "balancer, NAT), and whether the store was just restarted or is overloaded"
    ),
    "server_error": "the store itself fails: look at its status, tell its operator; a restart here does not help",
    "invalid": "the answer is not that of an S3 store: check AWS_S3_ENDPOINT_URL, and what stands in between",
    "unknown": "the cause is not known",
}
STATES = ("ok", *_ADVICE)
"""Every state that a probe can have."""

_CODES = {
    "unknown_key": "InvalidAccessKeyId InvalidClientTokenId UnrecognizedClientException InvalidSecurity",
    "bad_signature": (
        "SignatureDoesNotMatch InvalidSignature InvalidSignatureException IncompleteSignature "
        "AuthorizationHeaderMalformed CredentialsNotSupported"
    ),
    "bad_token": "ExpiredToken ExpiredTokenException TokenRefreshRequired InvalidToken InvalidIdentityToken",
    "clock_skew": "RequestTimeTooSkewed RequestExpired RequestInTheFuture",
    "no_such_bucket": "NoSuchBucket NoSuchAccessPoint NoSuchOutpost",
    "not_configured": "InvalidBucketName InvalidAccessPoint",
    "wrong_region": (
        "PermanentRedirect TemporaryRedirect Redirect IllegalLocationConstraintException InvalidRegion "
        "InvalidRegionName InvalidLocationConstraint EndpointNotFound IncorrectEndpoint WrongRegion"
    ),
    DENIED: (
        "AccessDenied AccessDeniedException AccessForbidden Forbidden Unauthorized UnauthorizedAccess "
        "MissingSecurityHeader"
    ),
    "kms": (
        "KMS.DisabledException KMS.InvalidStateException KMS.KMSInvalidStateException KMS.NotFoundException "
        "KMS.AccessDeniedException KMS.InvalidKeyUsageException KMSNotConfigured XMinioKMSNotConfigured"
    ),
    "account": "AccountProblem AllAccessDisabled InvalidPayer UserSuspended OptInRequired AccountSuspended NotSignedUp",
    "full": (
        "XMinioStorageFull XMinioAdminBucketQuotaExceeded QuotaExceeded QuotaExceededException InsufficientStorage "
        "InsufficientStorageSpace StorageFull InsufficientCapacity TooManyObjects StorageQuotaExceeded "
        "StorageCapExceeded CapExceeded StorageLimitExceeded"
    ),
    "archived": "InvalidObjectState ObjectNotInActiveTierError ObjectArchived RestoreAlreadyInProgress",
    "unsupported": "NotImplemented XNotImplemented UnsupportedHeader UnsupportedOperation",
    "throttled": (
        "SlowDown SlowDownRead SlowDownWrite Throttling ThrottlingException ThrottledException RequestThrottled "
        "RequestThrottledException RequestLimitExceeded TooManyRequests TooManyRequestsException RateLimitExceeded "
        "BandwidthLimitExceeded LimitExceeded PriorRequestNotComplete ServerBusy XMinioTooManyRequests"
    ),
    "read_only": "NotDeviceOwnerError DeviceNotActiveError ReadOnly XMinioBackendReadOnly InvalidBucketState",
    "timeout": "RequestTimeout RequestTimeoutException",
    "server_error": (
        "InternalError InternalFailure InternalServerError InternalServerException ServiceUnavailable ServiceFailure "
        "ServiceUnavailableException OperationAborted Busy XMinioServerNotInitialized XMinioBackendDown UnexpectedError"
    ),
}
_CLASS_OF_CODE = {code: state for state, codes in _CODES.items() for code in codes.split()}
# Where there is no code, or none that is known
_CLASS_OF_STATUS = {
    405: "read_only",
    408: "timeout",
    429: "throttled",
    501: "unsupported",
    504: "timeout",
    507: "full",
}
# How stores without RequestTimeTooSkewed, and STS, say the same. That something has expired is none: it may be a token.
_LATE = ("is now earlier than", "is still later than", "not yet current", "skew", "is too far")
_EXPIRED = ("has expired", "expired")
_REGION = re.compile(r"\bregion\b|unexpected scope|credential scope")
_FULL = re.compile(
    r"\b(?:cap|quota|limit|capacity|space|storage)\b.{0,60}\b(?:exceeded|reached|full|exhausted|used up)\b"
    r"|\bexceed\w*\b.{0,60}\b(?:cap|quota|limit|storage|capacity)\b|\binsufficient (?:storage|space|capacity)\b"
    r"|\bover (?:its |the |your )?quota\b|\b(?:storage|disk|bucket|account) (?:is )?full\b"
)
_ACCOUNT = re.compile(
    r"suspend|unpaid|overdue|billing|payment|subscription|\btrial\b"
    r"|account (?:is |has been |has )?(?:disabled|inactive|closed|locked|expired)"
)
_BUSY = re.compile(r"\b(?:rate|requests?|bandwidth|transactions?)\b.{0,40}\b(?:limit|cap|exceeded)\b|too many requests")
_UNKNOWN_HEADER = re.compile(r"checksum|x-amz-trailer|x-amz-sdk|aws-chunked|\btrailer|is not implemented|not supported")
_SKEW_MAX_S = 300
# No way to the host, whoever says so
_NO_WAY = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EACCES)
# Exceptions of botocore that no request caused
_CREDENTIAL_ERRORS = (
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "MetadataRetrievalError"),
    *("ProfileNotFound", "ConfigNotFound", "ConfigParseError", "UnauthorizedSSOTokenError", "TokenRetrievalError"),
    *("SSOTokenLoadError", "InvalidConfigError", "InfiniteLoopConfigError", "UnknownCredentialError"),
    *("RefreshWithMFAUnsupportedError", "NoAuthTokenError", "NoRegionError", "ParamValidationError"),
    *("InvalidRegionError", "UnsupportedS3ConfigurationError", "InvalidS3AddressingStyleError", "ConfigError"),
)


class Fault(Exception):  # noqa: N818
    """What is wrong at one step: a state and a line for people."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


def fault(state: str, detail: object = "", *, show: Callable[[str], str] = str) -> Fault:
    """A fault with what to do about it, and in brackets what was seen, cleaned of secrets by ``show``."""
    said = one_line(show(str(detail)), 200)
    return Fault(state, f"{_ADVICE[state]} ({said})" if said else _ADVICE[state])


def state_of_refusal(
    code: str,
    status: int,
    message: str = "",
    headers: Mapping[str, str] | None = None,
    *,
    skew_s: float | None = None,
) -> str:
    """The class of an error answer of S3 or STS; ``denied`` is for the caller to say what was denied.

    Args:
        code: its error code; the digits of the status, or "", where it had none.
        status: of HTTP.
        message: what it said.
        headers: its headers, in lower case.
        skew_s: how far the store's clock is ahead of this host's, where that was seen.
    """
    words = message.lower()
    has_code = code not in ("", str(status))
    state = _CLASS_OF_CODE.get(code, "")
    if state in ("bad_signature", DENIED, "") and has_code:
        state = _by_words(state, status, words, skew_s)
    elif not has_code and 300 <= status < 400 and "x-amz-bucket-region" in (headers or {}):
        state = "wrong_region"
    return state or _CLASS_OF_STATUS.get(status) or ("server_error" if status >= 500 else "invalid")


def _by_words(state: str, status: int, words: str, skew_s: float | None) -> str:
    """What a code means that says one thing for many reasons; the message tells which."""
    is_skewed = skew_s is not None and abs(skew_s) > _SKEW_MAX_S
    refused = state == DENIED or (not state and status in (400, 402, 403, 409, 413))
    rows = (
        (state != "" and any(part in words for part in _LATE), "clock_skew"),
        (refused and _ACCOUNT.search(words), "account"),
        (state != "" and any(part in words for part in _EXPIRED), "clock_skew" if is_skewed else "bad_token"),
        (state == "bad_signature" and _REGION.search(words), "wrong_region"),
        (not state and status in (301, 307, 400) and _REGION.search(words), "wrong_region"),
        (refused and _BUSY.search(words), "throttled"),
        (refused and _FULL.search(words), "full"),
        (refused and "kms" in words, "kms"),
        (not state and status in (400, 411, 501) and _UNKNOWN_HEADER.search(words), "unsupported"),
        (not state and status in (401, 403), DENIED),
    )
    return next((found for holds, found in rows if holds), state)


def explain(
    error: BaseException,
    step: str,
    *,
    where: str,
    show: Callable[[str], str] = str,
    status: int = 0,
    skew_s: float | None = None,
) -> Fault:
    """Whatever a step raised, as a fault.

    Args:
        error: what was raised.
        step: dns, tcp, tls, credentials, identity, list, put, get, delete or leftovers.
        where: host and port that were spoken to.
        show: cleans a text of secrets.
        status: what the answer really had, where that is known: botocore makes 500 of a 200 that it cannot read.
        skew_s: how far the store's clock is ahead of this host's, where that was seen.
    """
    if isinstance(error, Fault):
        return error
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ClientError" in names:
        return _explain_answer(error, step, show, status, skew_s)
    if names & set(_CREDENTIAL_ERRORS):
        return fault("not_configured", error, show=show)
    chain = list(causes_of(error))
    kinds = {kind.__name__ for cause in chain for kind in type(cause).__mro__}
    shown = f"{where}: {_innermost(chain)}"
    for state, found in (
        ("tls", kinds & {"SSLError"} or _first(chain, ssl.SSLError)),
        ("dns", _first(chain, socket.gaierror)),
        # First what the system said: a refused connection of urllib3 is a ConnectTimeoutError as well.
        ("refused", any(isinstance(cause, OSError) and cause.errno in _NO_WAY for cause in chain)),
        ("timeout", kinds & {"ReadTimeoutError", "ConnectTimeoutError", "TimeoutError", "timeout"}),
        ("refused", kinds & {"ProxyConnectionError", "EndpointConnectionError"}),
        ("dropped", kinds & {"RemoteDisconnected", "ConnectionError", "IncompleteRead", "IncompleteReadError"}),
        ("invalid", _first(chain, http.client.HTTPException, ValueError)),
        ("dropped", kinds & {"ConnectionClosedError", "ResponseStreamingError"}),
        ("invalid", kinds & {"ResponseParserError", "HTTPClientError", "ChecksumError"}),
        ("invalid", kinds & {"FlexibleChecksumError", "HTTPError"}),
    ):
        if found and (state == "tls" or (step == "tls" and state == "dropped")):
            return fault("tls", f"{where}: {_tls_reason(chain)}", show=show)
        if found:
            return fault(state, shown, show=show)
    return fault("unknown", f"{type(error).__name__}: {shown}", show=show)


def _explain_answer(error: Any, step: str, show: Callable[[str], str], real_status: int, skew_s: float | None) -> Fault:
    """A ClientError of botocore: the store answered, and refused."""
    answer = error.response if isinstance(error.response, dict) else {}
    said = answer.get("Error") or {}
    meta = answer.get("ResponseMetadata") or {}
    code, message = str(said.get("Code") or ""), str(said.get("Message") or "")
    status = meta.get("HTTPStatusCode")
    status = status if isinstance(status, int) else 0
    if real_status == 200 and code in ("", str(status)):
        status, code = real_status, ""
    headers = {str(name).lower(): str(value) for name, value in (meta.get("HTTPHeaders") or {}).items()}
    state = state_of_refusal(code, status, message, headers, skew_s=skew_s)
    shown = f"HTTP {status}" if code in ("", str(status)) else f"HTTP {status} {code}: {message}"
    if state == "wrong_region":
        region = headers.get("x-amz-bucket-region") or said.get("Region") or said.get("Endpoint")
        shown += f"; it is {region}" if region else ""
    elif 300 <= status < 400:
        shown += "; a redirect, which is not followed"
    if code in ("", str(status)) and status in (401, 403):
        shown += " without an error code, as a store never answers: a CDN, a firewall, or the port of a console"
    if step == "identity":
        return _identity_fault(state, shown, show)
    if state == DENIED:
        state = f"denied_{step if step in ('put', 'get', 'delete') else 'list'}"
    elif state in ("read_only", "unsupported") and step not in ("put", "delete", "get"):
        state = "invalid"
    return fault(state, shown, show=show)


def _identity_fault(state: str, shown: str, show: Callable[[str], str]) -> Fault:
    """STS is not offered by every store, and says by other codes that it is not."""
    if state in (
        "invalid",
        "read_only",
        "no_such_bucket",
        "wrong_region",
        "not_configured",
        "server_error",
        "unsupported",
    ):
        return Fault("not_offered", f"this store does not say whose credentials these are ({one_line(show(shown))})")
    if state == DENIED:
        return Fault("unknown", f"not told whose credentials these are ({one_line(show(shown))})")
    return fault(state, shown, show=show)


def _first(chain: list[BaseException], *kinds: type[BaseException]) -> BaseException | None:
    return next((cause for cause in chain if isinstance(cause, kinds)), None)


def _innermost(chain: list[BaseException]) -> str:
    """What the operating system said, else the last of the chain in its own words."""
    for cause in chain:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(chain[-1]) or type(chain[-1]).__name__


def _tls_reason(chain: list[BaseException]) -> str:
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
    for cause in chain:
        if isinstance(cause, ssl.SSLError) and cause.reason:
            plain = cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
            return "the server does not speak TLS at this port" if plain else cause.reason.replace("_", " ").lower()
    return _innermost(chain)
