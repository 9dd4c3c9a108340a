"""The documents for EKS and MSK grant what the relay does, and nothing else to nobody else."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from howdah import cli
from howdah.errors import BadInput
from howdah.outbox.deploy.eks_msk import EksMskOptions, relay_arguments, render
from howdah.outbox.sinks.kafka_settings import Mode, Sasl, from_options

CLUSTER = "arn:aws:kafka:eu-west-1:111122223333:cluster/shop/1a2b3c4d-0000-4000-8000-abcdefabcdef-4"
PROVIDER = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
USUAL = EksMskOptions(
    cluster_arn=CLUSTER,
    brokers=("b-1.shop.abc.c2.kafka.eu-west-1.amazonaws.com:9098", "b-2.shop.abc.example:9098"),
    topics=("orders.created", "orders.paid"),
    role_arn="arn:aws:iam::444455556666:role/teams/shop/relay",
    oidc_provider_arn=f"arn:aws:iam::444455556666:oidc-provider/{PROVIDER}",
    image="registry.example/howdah:1.0",
    outbox="orders",
    namespace="shop",
)
BOTH = pytest.mark.parametrize("mode", list(Mode))


def documents(**changes: object) -> dict[str, Any]:
    texts = render(msgspec.structs.replace(USUAL, **changes))
    return {name: json.loads(text) for name, text in texts.items() if name.endswith(".json")}


def allowed(policy: dict[str, Any], action: str, resource: str) -> bool:
    """IAM's own rule for policies that only allow: some statement matches both."""
    return any(
        statement["Effect"] == "Allow"
        and any(fnmatchcase(action, pattern) for pattern in statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        for statement in policy["Statement"]
    )


def arn(kind: str, name: str, cluster: str = CLUSTER) -> str:
    return f"{cluster.replace(':cluster/', f':{kind}/')}/{name}"


@BOTH
def test_what_the_producer_does_is_allowed(mode: Mode) -> None:
    policy = documents(mode=mode, shards=2)["iam-policy.json"]
    for action in ("Connect", "DescribeCluster", "WriteDataIdempotently"):
        assert allowed(policy, f"kafka-cluster:{action}", CLUSTER)
    for topic in USUAL.topics:
        for action in ("DescribeTopic", "WriteData"):
            assert allowed(policy, f"kafka-cluster:{action}", arn("topic", topic))
    for action in ("AlterTransactionalId", "DescribeTransactionalId"):
        for shard in (0, 1):
            resource = arn("transactional-id", f"howdah-orders-{shard}")
            granted = allowed(policy, f"kafka-cluster:{action}", resource)
            assert granted is (mode is Mode.TRANSACTIONAL)


@BOTH
def test_nothing_else_is_allowed(mode: Mode) -> None:
    policy = documents(mode=mode)["iam-policy.json"]
    other = CLUSTER.replace("shop", "bank")
    for action, resource in [
        ("ReadData", arn("topic", "orders.created")),
        ("CreateTopic", arn("topic", "orders.created")),
        ("AlterTopic", arn("topic", "orders.created")),
        ("WriteData", arn("topic", "orders.created.dead")),
        ("WriteData", arn("topic", "orders.created", other)),
        ("AlterCluster", CLUSTER),
        ("Connect", other),
        ("AlterGroup", arn("group", "any")),
        ("AlterTransactionalId", arn("transactional-id", "howdah-orders-1")),
        ("AlterTransactionalId", arn("transactional-id", "howdah-bank-0")),
    ]:
        assert not allowed(policy, f"kafka-cluster:{action}", resource), (action, resource)
    assert "*" not in json.dumps(policy)


@BOTH
def test_what_an_action_requires_is_granted_with_it(mode: Mode) -> None:
    """The column "Required actions" of AWS's table."""
    required = {
        "DescribeCluster": {"Connect"},
        "WriteDataIdempotently": {"Connect", "WriteData"},
        "DescribeTopic": {"Connect"},
        "WriteData": {"Connect", "DescribeTopic"},
        "DescribeTransactionalId": {"Connect"},
        "AlterTransactionalId": {"Connect", "DescribeTransactionalId", "WriteData"},
    }
    statements = documents(mode=mode)["iam-policy.json"]["Statement"]
    granted = {action.partition(":")[2] for each in statements for action in each["Action"]}
    for action in granted:
        assert required.get(action, set()) <= granted


def test_only_this_service_account_takes_the_role() -> None:
    (statement,) = documents()["trust-policy.json"]["Statement"]
    assert statement["Principal"] == {"Federated": USUAL.oidc_provider_arn}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            f"{PROVIDER}:sub": "system:serviceaccount:shop:howdah-relay",
            f"{PROVIDER}:aud": "sts.amazonaws.com",
        }
    }


def test_the_trusted_account_is_the_one_that_the_pod_runs_as() -> None:
    """The same names in three places: the token's subject, the service account, the pod."""
    made = documents(namespace="bank", name="mover")
    account, deployment = made["kubernetes.json"]["items"]
    pod = deployment["spec"]["template"]["spec"]
    subject = (
        f"system:serviceaccount:{account['metadata']['namespace']}:{pod['serviceAccountName']}"
    )
    condition = made["trust-policy.json"]["Statement"][0]["Condition"]["StringEquals"]
    assert condition[f"{PROVIDER}:sub"] == subject == "system:serviceaccount:bank:mover"
    assert account["metadata"]["name"] == pod["serviceAccountName"]
    assert account["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == USUAL.role_arn
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels


def test_the_pod_is_confined_and_holds_no_secret() -> None:
    _, deployment = documents()["kubernetes.json"]["items"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    dsn = next(each for each in container["env"] if each["name"] == "HOWDAH_DSN")
    assert dsn["valueFrom"]["secretKeyRef"] == {"name": "howdah-dsn", "key": "dsn"}


@BOTH
def test_the_relay_is_told_what_the_sink_understands(mode: Mode) -> None:
    """The words of the command become the settings of the sink that the policy is made for."""
    options = msgspec.structs.replace(USUAL, mode=mode, transactional_id_prefix="shop-")
    words = relay_arguments(options)
    assert words[:3] == ["outbox", "relay", "orders"]
    url = words[words.index("--sink") + 1]
    pairs = [words[at + 1] for at, word in enumerate(words) if word == "--sink-option"]
    settings = from_options(url, dict(pair.split("=", 1) for pair in pairs))
    assert settings.sasl is Sasl.AWS_MSK_IAM
    assert (settings.mode, settings.aws_region) == (mode, "eu-west-1")
    assert settings.brokers == ",".join(USUAL.brokers)
    if mode is Mode.TRANSACTIONAL:
        assert f"{settings.transactional_id_prefix}orders-0" in options.transactional_ids


@BOTH
@pytest.mark.parametrize(("replicas", "shards"), [(1, 1), (2, 1), (3, 4)])
def test_the_command_line_takes_the_words(mode: Mode, replicas: int, shards: int) -> None:
    """The real command parses them; the one who waits must not take over from who relays."""
    made = documents(mode=mode, replicas=replicas, shards=shards)["kubernetes.json"]
    (container,) = made["items"][1]["spec"]["template"]["spec"]["containers"]
    parsed = CliRunner().invoke(cli.app, [*container["args"], "--options"])
    assert parsed.exit_code == 0, parsed.output
    resolved = json.loads(parsed.output)["options"]
    assert resolved["shards"] == shards
    assert resolved["standby"] is (replicas > 1)


def test_the_commands_use_the_documents() -> None:
    texts = render(USUAL)
    named = set(re.findall(r"[\w-]+\.json", texts["commands.txt"]))
    assert named == {name for name in texts if name.endswith(".json")}
    assert "--role-name relay " in texts["commands.txt"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cluster_arn", "arn:aws:kafka:eu-west-1:111122223333:cluster/shop"),
        ("cluster_arn", "arn:aws:kafka:eu-west-1:111122223333:cluster/*/*"),
        ("cluster_arn", "arn:aws:s3:::bucket"),
        ("role_arn", "arn:aws:iam::444455556666:user/ann"),
        ("oidc_provider_arn", PROVIDER),
        ("oidc_provider_arn", f"arn:aws:iam::444455556666:oidc-provider/https://{PROVIDER}"),
        ("topics", ()),
        ("topics", ("orders.*",)),
        ("topics", ("orders created",)),
        ("brokers", ("b-1.example",)),
        ("brokers", ()),
        ("namespace", "Shop"),
        ("namespace", "shop:other"),
        ("name", "relay*"),
        ("image", ""),
        ("outbox", "orders*"),
        ("transactional_id_prefix", "*"),
        ("dsn_secret", "a b"),
        ("dsn_key", "../dsn"),
    ],
)
def test_a_malformed_field_is_named(field: str, value: object) -> None:
    with pytest.raises(BadInput, match=field) as failure:
        build(**{field: value})
    assert failure.value.hint


def test_fields_must_fit_each_other() -> None:
    with pytest.raises(BadInput, match="two accounts"):
        build(role_arn="arn:aws:iam::777788889999:role/relay")
    with pytest.raises(BadInput, match="partitions"):
        build(cluster_arn=CLUSTER.replace("arn:aws:", "arn:aws-cn:"))
    with pytest.raises(BadInput, match="not a port for IAM"):
        build(brokers=("b-1.example:9092",))


def build(**changes: Any) -> EksMskOptions:
    """As a user builds it; `replace` would skip the checks."""
    return EksMskOptions(**(msgspec.structs.asdict(USUAL) | changes))
