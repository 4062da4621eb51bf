"""Requests that must be refused: what is sent, the status, and the field the answer must name (None: the text)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hostile:
    name: str
    body: bytes
    status: int
    field: str | None = None


def _with(name: str, field: str, /, **parts: Any) -> Hostile:
    """A good request but for `parts`."""
    return Hostile(name, json.dumps({"activations": ["relu", "tanh"]} | parts).encode(), 422, field)


def _text(name: str, text: str | bytes) -> Hostile:
    return Hostile(name, text if isinstance(text, bytes) else text.encode(), 400)


_DEEP = 5000
_LEAKY = {"name": "leaky_relu", "negative_slope": 0.1}
_ALL_IN_FLOAT64 = {"dtype": "float64", "batch_size": 65_536, "steps": 1}
_TEACHER = {"name": "teacher_student"}
_LARGE = {"name": "blobs", "n_inputs": 1000, "n_classes": 100, "n_train": 100_000, "n_test": 100_000}

HOSTILE = [
    # Not JSON, or JSON that Python's reader takes and the standard does not.
    _text("empty", ""),
    _text("no json", "activations=relu"),
    _text("cut short", '{"activations": ["relu"'),
    _text("trailing text", '{"activations": ["relu"]} x'),
    _text("comment", '{"activations": ["relu"] /* most used */}'),
    _text("single quotes", "{'activations': ['relu']}"),
    _text("byte order mark", b'\xef\xbb\xbf{"activations": ["relu"]}'),
    _text("not utf-8", b'{"activations": ["relu"], "name": "\xff\xfe"}'),
    _text("utf-16", '{"activations": ["relu"]}'.encode("utf-16")),
    _text("nan", '{"activations": ["relu"], "training": {"learning_rate": NaN}}'),
    _text("infinity", '{"activations": ["relu"], "training": {"learning_rate": Infinity}}'),
    _text("minus infinity", '{"activations": ["relu"], "network": {"gain": -Infinity}}'),
    _text("1e999", '{"activations": ["relu"], "training": {"learning_rate": 1e999}}'),
    _text("-1e999", '{"activations": [{"name": "leaky_relu", "negative_slope": -1e999}]}'),
    _text("5000 digits", '{"activations": ["relu"], "seed": ' + "9" * 5000 + "}"),
    _text("301 digits", '{"activations": ["relu"], "seed": ' + "9" * 301 + "}"),
    _text("key twice", '{"activations": ["relu"], "seed": 1, "seed": 2}'),
    _text("key twice within", '{"activations": ["relu"], "network": {"depth": 1, "depth": 2}}'),
    _text("key twice by escape", '{"activations": ["relu"], "seed": 1, "\\u0073eed": 2}'),
    _text("17 levels", '{"activations": ["relu"], "name": ' + "[" * 16 + "]" * 16 + "}"),
    _text("thousands of levels", "[" * _DEEP + "]" * _DEEP),
    _text("thousands of objects", '{"a":' * _DEEP + "1" + "}" * _DEEP),
    _text("NUL in a value", '{"activations": ["relu"], "name": "a\\u0000b"}'),
    _text("NUL in a key", '{"activations": ["relu"], "a\\u0000b": 1}'),
    _text("raw control character", b'{"activations": ["relu"], "name": "a\x00b"}'),
    _text("half a surrogate pair", '{"activations": ["relu"], "name": "\\ud800"}'),
    _text("half a surrogate pair in a key", '{"activations": ["relu"], "\\udfff": 1}'),
    # JSON, but no request.
    Hostile("a list", b"[]", 422, "body"),
    Hostile("null", b"null", 422, "body"),
    Hostile("text", b'"relu"', 422, "body"),
    Hostile("a number", b"1", 422, "body"),
    Hostile("nothing asked", b"{}", 422, "activations"),
    # Unknown keys.
    _with("unknown key", "colour", colour="red"),
    _with("unknown key within", "network.dept", network={"dept": 3}),
    _with("prototype key", "__proto__", __proto__={"admin": True}),
    _with("owner", "owner", owner="somebody"),
    _with("long key", "x" * 79 + "…", **{"x" * 5000: 1}),
    # Activations.
    _with("no activations", "activations", activations=[]),
    _with("activations are no list", "activations", activations="relu"),
    _with("activations are null", "activations", activations=None),
    _with("unknown activation", "activations.0", activations=["rleu"]),
    _with("activation in capitals", "activations.0", activations=["ReLU"]),
    _with("activation is a number", "activations.1", activations=["relu", 5]),
    _with("activation is a list", "activations.0", activations=[["relu"]]),
    _with("activation is null", "activations.0", activations=[None]),
    _with("activation without a name", "activations.0.name", activations=[{}]),
    _with("activation's name is an object", "activations.0.name", activations=[{"name": {}}]),
    _with("activation's name is a list", "activations.0.name", activations=[{"name": ["relu"]}]),
    _with("unknown parameter", "activations.0.alpha", activations=[{"name": "leaky_relu", "alpha": 1}]),
    _with("parameter of a plain one", "activations.0.alpha", activations=[{"name": "relu", "alpha": 1}]),
    _with(
        "parameter is text",
        "activations.0.negative_slope",
        activations=[{"name": "leaky_relu", "negative_slope": "0.1"}],
    ),
    _with(
        "parameter is true",
        "activations.0.negative_slope",
        activations=[{"name": "leaky_relu", "negative_slope": True}],
    ),
    _with(
        "parameter too large",
        "activations.0.negative_slope",
        activations=[{"name": "leaky_relu", "negative_slope": 1e30}],
    ),
    _with(
        "parameter of 300 digits",
        "activations.0.negative_slope",
        activations=[{"name": "leaky_relu", "negative_slope": 10**299}],
    ),
    _with(
        "parameter is null",
        "activations.0.negative_slope",
        activations=[{"name": "leaky_relu", "negative_slope": None}],
    ),
    _with("activation hundreds of times", "activations", activations=["relu"] * 5000),
    _with(
        "parameter that a float only just holds",
        "activations.0.scale_in",
        activations=[{"name": "relu", "scale_in": 1e308}],
    ),
    _with("activation twice", "activations.1", activations=["relu", "relu"]),
    _with("activation twice in two ways", "activations.1", activations=["relu", {"name": "relu"}]),
    _with("default said and unsaid", "activations.1", activations=["leaky_relu", _LEAKY | {"negative_slope": 0.01}]),
    # Data sets.
    _with("unknown data set", "dataset", dataset="imagenet"),
    _with("unknown data set by object", "dataset.name", dataset={"name": "imagenet"}),
    _with("data set is a path", "dataset.name", dataset={"name": "../../etc/passwd"}),
    _with("data set's parameter unknown", "dataset.url", dataset={"name": "digits", "url": "http://169.254.169.254/"}),
    _with("n_train is a float", "dataset.n_train", dataset={"name": "xor", "n_train": 100.0}),
    _with("n_train too large", "dataset.n_train", dataset={"name": "xor", "n_train": 10**9}),
    _with("unknown function", "dataset.function", dataset={"name": "function_1d", "function": "__import__('os')"}),
    _with("more inputs than there may be", "dataset.n_inputs", dataset={"name": "blobs", "n_inputs": 10**6}),
    _with("a teacher that nobody knows", "dataset.teacher_activation", dataset=_TEACHER | {"teacher_activation": "me"}),
    _with("a data set beyond memory", "memory", dataset=_LARGE, network={"depth": 8}, training=_ALL_IN_FLOAT64),
    # Network.
    _with("network is a list", "network", network=[]),
    _with("network is null", "network", network=None),
    _with("depth 0", "network.depth", network={"depth": 0}),
    _with("depth 13.0", "network.depth", network={"depth": 13.0}),
    _with("depth as text", "network.depth", network={"depth": "5"}),
    _with("depth is true", "network.depth", network={"depth": True}),
    _with("depth is null", "network.depth", network={"depth": None}),
    _with("depth over the limit", "network.depth", network={"depth": 65}),
    _with("width negative", "network.width", network={"width": -1}),
    _with("width of 30 digits", "network.width", network={"width": 10**30}),
    _with("unknown normalization", "network.normalization", network={"normalization": "group"}),
    _with("normalization is null", "network.normalization", network={"normalization": None}),
    _with("unknown initialization", "network.initialization", network={"initialization": ["pytorch"]}),
    _with("gain that a float only just holds", "network.gain", network={"gain": 1e308}),
    _with("gain 0", "network.gain", network={"gain": 0}),
    _with("residual is 1", "network.residual", network={"residual": 1}),
    _with("residual is text", "network.residual", network={"residual": "false"}),
    # Training.
    _with("learning rate 0", "training.learning_rate", training={"learning_rate": 0}),
    _with("learning rate negative", "training.learning_rate", training={"learning_rate": -0.1}),
    _with("learning rate as text", "training.learning_rate", training={"learning_rate": "0.1"}),
    _with("learning rate over the limit", "training.learning_rate", training={"learning_rate": 1e7}),
    _with("unknown schedule", "training.schedule", training={"schedule": "step"}),
    _with("schedule is null", "training.schedule", training={"schedule": None}),
    _with("weight decay negative", "training.weight_decay", training={"weight_decay": -0.1}),
    _with("weight decay is null", "training.weight_decay", training={"weight_decay": None}),
    _with("weight decay is true", "training.weight_decay", training={"weight_decay": True}),
    _with("weight decay over the limit", "training.weight_decay", training={"weight_decay": 1e7}),
    _with("weight decay of 300 digits", "training.weight_decay", training={"weight_decay": 10**299}),
    _with("clipping to 0", "training.clip_norm", training={"clip_norm": 0}),
    _with("clipping as text", "training.clip_norm", training={"clip_norm": "none"}),
    _with("clipping is false", "training.clip_norm", training={"clip_norm": False}),
    _with("clipping over the limit", "training.clip_norm", training={"clip_norm": 1e7}),
    _with("steps and epochs", "training.epochs", training={"steps": 5, "epochs": 5}),
    _with("steps 0", "training.steps", training={"steps": 0}),
    _with("steps over the limit", "training.steps", training={"steps": 1_000_001}),
    _with("epochs that make too many steps", "training.epochs", training={"epochs": 100_000}),
    _with("epochs null", "training.epochs", training={"epochs": None}),
    _with("batch size 0", "training.batch_size", training={"batch_size": 0}),
    _with("unknown optimizer", "training.optimizer", training={"optimizer": "lbfgs"}),
    _with("unknown dtype", "training.dtype", training={"dtype": "float16"}),
    # Sweep.
    _with("sweep is a list", "sweep", sweep=[]),
    _with("sweep of an unknown path", "sweep.network.dept", sweep={"network.dept": [1]}),
    _with("sweep of the seed", "sweep.seed", sweep={"seed": [1, 2]}),
    _with("sweep of the data set's name", "sweep.dataset.name", sweep={"dataset.name": ["xor"]}),
    _with("sweep of a parameter of another data set", "sweep.dataset.noise", sweep={"dataset.noise": [0.1]}),
    _with("sweep of one value thousands of times", "sweep.network.depth", sweep={"network.depth": [1] * 20_000}),
    _with("sweep of thousands of values", "sweep.network.depth", sweep={"network.depth": list(range(1, 10_000))}),
    _with("sweep of lists in lists", "sweep.network.depth.0", sweep={"network.depth": [[[[[[1]]]]]]}),
    _with("sweep of nothing", "sweep.network.depth", sweep={"network.depth": []}),
    _with("sweep of one value", "sweep.network.depth", sweep={"network.depth": 3}),
    _with("sweep of text", "sweep.network.depth", sweep={"network.depth": "123"}),
    _with("sweep to depth 0", "sweep.network.depth.1", sweep={"network.depth": [1, 0]}),
    _with("sweep of no clipping twice", "sweep.training.clip_norm.1", sweep={"training.clip_norm": [None, None]}),
    _with("sweep of null", "sweep.training.learning_rate.0", sweep={"training.learning_rate": [None]}),
    _with("sweep of either zero", "sweep.training.weight_decay.1", sweep={"training.weight_decay": [0, -0.0]}),
    _with("sweep of a value twice", "sweep.network.depth.2", sweep={"network.depth": [2, 3, 2]}),
    _with(
        "sweep of a number twice",
        "sweep.training.learning_rate.1",
        sweep={"training.learning_rate": [1, 1.0]},
    ),
    _with(
        "sweep of a data set's parameter",
        "sweep.dataset.noise.0",
        dataset="xor",
        sweep={"dataset.noise": [-1]},
    ),
    _with("sweep of bits by halves", "sweep.dataset.n_bits.1", dataset="parity", sweep={"dataset.n_bits": [2, 2.5]}),
    _with(
        "sweep of steps and epochs",
        "sweep.training.epochs",
        sweep={"training.steps": [1, 2], "training.epochs": [1, 2]},
    ),
    _with("steps swept, epochs given", "sweep.training.steps", training={"epochs": 2}, sweep={"training.steps": [1]}),
    _with(
        "swept epochs that make too many steps",
        "training.epochs",
        sweep={"training.epochs": [1, 100_000]},
    ),
    _with("too many arms", "arms", sweep={"network.depth": list(range(1, 65)), "network.width": [1, 2, 3, 4]}),
    _with(
        "arms beyond counting",
        "arms",
        sweep={
            "network.depth": list(range(1, 65)),
            "network.width": list(range(1, 400)),
            "training.batch_size": list(range(1, 400)),
            "training.learning_rate": list(range(1, 400)),
        },
    ),
    # How many, and which.
    _with("replicates 0", "replicates", replicates=0),
    _with("replicates over the limit", "replicates", replicates=1001),
    _with("too many runs", "runs", replicates=1000, sweep={"network.depth": list(range(1, 12))}),
    _with("too dear", "cost", network={"depth": 64, "width": 4096}, training={"steps": 1_000_000}),
    _with("seed negative", "seed", seed=-1),
    _with("seed of 64 bits", "seed", seed=2**63),
    _with("seed as text", "seed", seed="0"),
    Hostile("seed with an exponent", b'{"activations": ["relu"], "seed": 1e3}', 422, "seed"),
    _with("seed is true", "seed", seed=True),
    _with("unknown baseline", "baseline", baseline="gelu"),
    _with("baseline is a position", "baseline", baseline=0),
    _with("baseline with other parameters", "baseline", activations=["relu", "leaky_relu"], baseline=_LEAKY),
    _with(
        "baseline that two entries have",
        "baseline",
        activations=[_LEAKY, _LEAKY | {"negative_slope": 0.2}],
        baseline="leaky_relu",
    ),
    # Words.
    _with("name is a number", "name", name=5),
    _with("long name", "name", name="x" * 201),
    _with("tags are text", "tags", tags="depth"),
    _with("too many tags", "tags", tags=[str(i) for i in range(21)]),
    _with("long tag", "tags.0", tags=["x" * 51]),
    _with("empty tag", "tags.1", tags=["a", ""]),
    _with("thousands of tags", "tags", tags=["t"] * 10_000),
    _with("tag is a list", "tags.0", tags=[["a"]]),
    _with("tag twice", "tags.1", tags=["a", "a"]),
    # Recording.
    _with("points 1", "recording.points", recording={"points": 1}),
    _with("unknown spacing", "recording.spacing", recording={"spacing": "random"}),
    _with("geometry as a number", "recording.geometry", recording={"geometry": 1}),
    _with(
        "geometry of a large network",
        "recording.geometry",
        recording={"geometry": True},
        network={"depth": 9, "width": 256},
    ),
    _with("probe of nothing", "recording.probe_size", recording={"probe_size": 0}),
]

# What changes an experiment, and what goes on with a claim: the path after /v1, {id} being an experiment that is there.
_CHANGE, _MORE, _CLAIM = (
    ("PATCH", "/experiments/{id}"),
    ("POST", "/experiments/{id}/replicates"),
    ("POST", "/claims/C4/experiments"),
)


def _elsewhere(name: str, to: tuple[str, str], field: str, value: Any) -> tuple[tuple[str, str], Hostile]:
    return to, Hostile(name, json.dumps(value).encode(), 422, field)


HOSTILE_ELSEWHERE = [
    _elsewhere("change nothing", _CHANGE, "body", {}),
    _elsewhere("change to null", _CHANGE, "body", None),
    _elsewhere("change to a list", _CHANGE, "body", []),
    _elsewhere("change the name to null", _CHANGE, "name", {"name": None}),
    _elsewhere("change to a long name", _CHANGE, "name", {"name": "x" * 201}),
    _elsewhere("change the tags to null", _CHANGE, "tags", {"tags": None}),
    _elsewhere("change to a tag twice", _CHANGE, "tags.1", {"tags": ["a", "a"]}),
    _elsewhere("change the state", _CHANGE, "state", {"state": "succeeded"}),
    _elsewhere("change the owner", _CHANGE, "owner", {"owner": "me"}),
    _elsewhere("change the id", _CHANGE, "id", {"id": "00000000-0000-0000-0000-000000000000"}),
    (_CHANGE, Hostile("change to a NUL", b'{"name": "a\\u0000b"}', 400)),
    (_CHANGE, Hostile("change thousands of levels deep", b"[" * _DEEP, 400)),
    _elsewhere("more networks, how many unsaid", _MORE, "replicates", {}),
    _elsewhere("no more networks", _MORE, "replicates", {"replicates": 0}),
    _elsewhere("networks over the limit", _MORE, "replicates", {"replicates": 1001}),
    _elsewhere("networks of 40 digits", _MORE, "replicates", {"replicates": 10**40}),
    _elsewhere("networks as a float", _MORE, "replicates", {"replicates": 5.0}),
    _elsewhere("networks as text", _MORE, "replicates", {"replicates": "5"}),
    _elsewhere("networks are true", _MORE, "replicates", {"replicates": True}),
    _elsewhere("networks and another activation", _MORE, "activations", {"replicates": 5, "activations": ["relu"]}),
    _elsewhere("a claim with an effort that there is not", _CLAIM, "effort", {"effort": "most"}),
    _elsewhere("a claim with efforts", _CLAIM, "effort", {"effort": ["full"]}),
    _elsewhere("a claim in a round of thousands of letters", _CLAIM, "round", {"round": "x" * 5000}),
    _elsewhere("a claim in a round by number", _CLAIM, "round", {"round": 5}),
    _elsewhere("a claim with its verdict", _CLAIM, "verdict", {"effort": "full", "verdict": "supported"}),
]
