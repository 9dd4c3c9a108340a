"""A relay on Amazon EKS that publishes to Amazon MSK, with the rights that it needs and no others.

Owns four documents: the policy of the role, who may take that role, the Kubernetes objects, and
the commands that apply them. Pure: options in, texts out. Must never grant `*`, and must never
let a service account other than the one named take the role.

Which action needs which resource: AWS, "Semantics of IAM authorization policy actions and
resources" of the MSK developer guide. How a pod gets the role: AWS, "IAM roles for service
accounts" of the EKS user guide.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Annotated, Any

import msgspec

from howdah.errors import BadInput
from howdah.outbox.sinks.kafka_settings import Mode

AUDIENCE = "sts.amazonaws.com"
"""For whom the token of a service account is issued, in every partition of AWS."""

_IAM_PORTS = {"9098", "9198"}
"""Where MSK listens for IAM logins: inside the network, and publicly."""
_GRACE_SECONDS = 90
"""Longer than the sink waits for an acknowledgement, so that a relay can end in peace."""
_USER = 65532
"""The user of a pod: any but root."""

_PARTITION = r"arn:(?P<partition>aws|aws-cn|aws-us-gov)"
_CLUSTER = re.compile(
    _PARTITION + r":kafka:(?P<region>[a-z]{2}(-[a-z]+)+-\d):(?P<account>\d{12})"
    r":cluster/(?P<name>[A-Za-z0-9][A-Za-z0-9-]{0,63})/(?P<uuid>[A-Za-z0-9-]{8,64})"
)
_ROLE = re.compile(
    _PARTITION + r":iam::(?P<account>\d{12}):role/([\w+=,.@-]+/)*(?P<name>[\w+=,.@-]{1,64})"
)
_PROVIDER = re.compile(
    _PARTITION + r":iam::(?P<account>\d{12})"
    r":oidc-provider/(?P<provider>[a-z0-9.-]+/id/[A-Za-z0-9]+)"
)
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_BROKER = re.compile(r"[A-Za-z0-9.-]+:(?P<port>\d{1,5})")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, as Kubernetes asks
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_ID_PART = re.compile(r"[A-Za-z0-9._-]{1,128}")


class EksMskOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between one installation and the next. `BadInput` says which field is wrong."""

    cluster_arn: str
    brokers: tuple[str, ...]
    """`host:9098`, as `aws kafka get-bootstrap-brokers` tells them for IAM."""
    topics: tuple[str, ...]
    """Every topic that the relay may write, by its whole name."""
    role_arn: str
    """The role to be made for the relay."""
    oidc_provider_arn: str
    """The identity provider of the EKS cluster."""
    image: str
    outbox: str
    """The outbox that is relayed; part of the transactional id."""
    namespace: str = "default"
    name: str = "howdah-relay"
    """Of the deployment and of its service account."""
    dsn_secret: str = "howdah-dsn"
    dsn_key: str = "dsn"
    """The secret, and the key in it, that hold the DSN of the database."""
    mode: Mode = Mode.IDEMPOTENT
    transactional_id_prefix: str = "howdah-"
    shards: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Lanes of the relay, each with a producer of its own."""
    replicas: Annotated[int, msgspec.Meta(ge=0, le=8)] = 1
    """More than one wait for the first to fail: only one relays."""

    def __post_init__(self) -> None:
        """Check each field, then what they say together."""
        self._check_forms()
        role, provider = self.arn("role_arn"), self.arn("oidc_provider_arn")
        if role["account"] != provider["account"]:
            raise BadInput(
                "role_arn and oidc_provider_arn are of two accounts",
                detail="A role can be taken only through a provider of its own account.",
                hint="make the role in the account of the EKS cluster",
            )
        if len({self.arn(field)["partition"] for field in _ARNS}) > 1:
            raise BadInput("the ARNs are of different partitions of AWS", hint="check their start")

    def _check_forms(self) -> None:
        for field, (pattern, example) in _FORMS.items():
            given = getattr(self, field)
            for value in given if isinstance(given, tuple) else (given,):
                if not pattern.fullmatch(value):
                    raise BadInput(f"{field} is malformed: {value!r}", hint=f"such as {example}")
            if not given:
                raise BadInput(f"{field} is empty", hint=f"such as {example}")
        for broker in self.brokers:
            if broker.rpartition(":")[2] not in _IAM_PORTS:
                raise BadInput(
                    f"{broker} is not a port for IAM",
                    hint="take BootstrapBrokerStringSaslIam of aws kafka get-bootstrap-brokers",
                )

    def arn(self, field: str) -> dict[str, str]:
        """The named parts of one of the ARNs."""
        found = _FORMS[field][0].fullmatch(getattr(self, field))
        return found.groupdict() if found else {}

    @property
    def transactional_ids(self) -> tuple[str, ...]:
        """The ids that the Kafka sink takes: one for each shard."""
        start = f"{self.transactional_id_prefix}{self.outbox}"
        return tuple(f"{start}-{shard}" for shard in range(self.shards))


_ARNS = ("cluster_arn", "role_arn", "oidc_provider_arn")
_FORMS = {
    "cluster_arn": (_CLUSTER, "arn:aws:kafka:eu-west-1:123456789012:cluster/orders/<uuid>"),
    "role_arn": (_ROLE, "arn:aws:iam::123456789012:role/howdah-relay"),
    "oidc_provider_arn": (
        _PROVIDER,
        "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/<id>",
    ),
    "brokers": (_BROKER, "b-1.orders.abc123.c2.kafka.eu-west-1.amazonaws.com:9098"),
    "topics": (_TOPIC, "orders.created; each by its whole name, since * would grant more"),
    "image": (re.compile(r"[a-z0-9][\w./:@-]*"), "registry.example/howdah:1.0"),
    "outbox": (_ID_PART, "orders"),
    "transactional_id_prefix": (_ID_PART, "howdah-"),
    "namespace": (_LABEL, "shop"),
    "name": (_LABEL, "howdah-relay"),
    "dsn_secret": (_SUBDOMAIN, "howdah-dsn"),
    "dsn_key": (_SECRET_KEY, "dsn"),
}


def render(options: EksMskOptions) -> dict[str, str]:
    """The documents by file name; write them and follow `commands.txt`."""
    documents = {
        "iam-policy.json": policy(options),
        "trust-policy.json": trust(options),
        "kubernetes.json": objects(options),
    }
    texts = {name: json.dumps(each, indent=2) + "\n" for name, each in documents.items()}
    return texts | {"commands.txt": commands(options)}


def policy(options: EksMskOptions) -> dict[str, Any]:
    """What the role may do: connect, and write the named topics."""
    statements = [
        _allow("Connect", ["Connect", "DescribeCluster"], [options.cluster_arn]),
        # The right to a producer id: a right on the cluster, good for nothing without WriteData.
        _allow("Produce", ["WriteDataIdempotently"], [options.cluster_arn]),
        _allow("Topics", ["DescribeTopic", "WriteData"], _resources(options, "topic")),
    ]
    if options.mode is Mode.TRANSACTIONAL:
        statements.append(
            _allow(
                "Transactions",
                ["AlterTransactionalId", "DescribeTransactionalId"],
                _resources(options, "transactional-id"),
            )
        )
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"kafka-cluster:{action}" for action in actions],
        "Resource": resources,
    }


def _resources(options: EksMskOptions, kind: str) -> list[str]:
    """ARNs of the topics or of the transactional ids: the cluster's, with kind and name."""
    names = options.topics if kind == "topic" else options.transactional_ids
    head, _, cluster = options.cluster_arn.partition(":cluster/")
    return [f"{head}:{kind}/{cluster}/{name}" for name in dict.fromkeys(names)]


def trust(options: EksMskOptions) -> dict[str, Any]:
    """Who may take the role: pods of this one service account, with a token made for AWS."""
    provider = options.arn("oidc_provider_arn")["provider"]
    subject = f"system:serviceaccount:{options.namespace}:{options.name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": options.oidc_provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{provider}:sub": subject, f"{provider}:aud": AUDIENCE}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def objects(options: EksMskOptions) -> dict[str, Any]:
    """The service account and the deployment, as one list for `kubectl apply`."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [_service_account(options), _deployment(options)],
    }


def _metadata(options: EksMskOptions) -> dict[str, Any]:
    return {
        "name": options.name,
        "namespace": options.namespace,
        "labels": {"app.kubernetes.io/name": options.name},
    }


def _service_account(options: EksMskOptions) -> dict[str, Any]:
    annotations = {
        "eks.amazonaws.com/role-arn": options.role_arn,
        "eks.amazonaws.com/audience": AUDIENCE,
        "eks.amazonaws.com/sts-regional-endpoints": "true",
    }
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(options) | {"annotations": annotations},
        # The relay has nothing to ask of Kubernetes; the token for AWS is mounted besides.
        "automountServiceAccountToken": False,
    }


def _deployment(options: EksMskOptions) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": options.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(options),
        "spec": {
            "replicas": options.replicas,
            # Two relays at a time are harmless and useless.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod(options)},
        },
    }


def _pod(options: EksMskOptions) -> dict[str, Any]:
    return {
        "serviceAccountName": options.name,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            # The mounted token is the group's to read.
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(options)],
    }


def _container(options: EksMskOptions) -> dict[str, Any]:
    secret = {"name": options.dsn_secret, "key": options.dsn_key}
    return {
        "name": "relay",
        "image": options.image,
        "args": relay_arguments(options),
        "env": [
            {"name": "HOWDAH_DSN", "valueFrom": {"secretKeyRef": secret}},
            {"name": "AWS_REGION", "value": options.arn("cluster_arn")["region"]},
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def relay_arguments(options: EksMskOptions) -> list[str]:
    """The words behind `howdah`, which is the image's entry point."""
    sink = {
        "sasl": "aws-msk-iam",
        "aws_region": options.arn("cluster_arn")["region"],
        "mode": options.mode.value,
    }
    if options.mode is Mode.TRANSACTIONAL:
        sink["transactional_id_prefix"] = options.transactional_id_prefix
    words = ["outbox", "relay", options.outbox, "--sink", f"kafkas://{','.join(options.brokers)}"]
    for name, value in sink.items():
        words += ["--sink-option", f"{name}={value}"]
    words += ["--shards", str(options.shards)]
    if options.replicas > 1:
        # Without it the one that comes later takes over at once, and the earlier one ends.
        words.append("--standby")
    return words


def commands(options: EksMskOptions) -> str:
    """What to run, in order, with the documents in the current folder."""
    role = shlex.quote(options.arn("role_arn")["name"])
    namespace = shlex.quote(options.namespace)
    lines = [
        "# Once, with rights on IAM in the account of the EKS cluster:",
        f"aws iam create-role --role-name {role}"
        " --assume-role-policy-document file://trust-policy.json",
        f"aws iam put-role-policy --role-name {role} --policy-name howdah-relay"
        " --policy-document file://iam-policy.json",
        "# The DSN, which is in none of these documents:",
        f"kubectl -n {namespace} create secret generic {shlex.quote(options.dsn_secret)}"
        f" --from-file={shlex.quote(options.dsn_key)}=dsn.txt",
        "# The relay:",
        "kubectl apply -f kubernetes.json",
        f"kubectl -n {namespace} rollout status deployment/{shlex.quote(options.name)}",
    ]
    if options.mode is Mode.TRANSACTIONAL:
        lines.insert(0, "# Transactions with IAM need Kafka 3.8 or later on the MSK cluster.")
    return "\n".join(lines) + "\n"
