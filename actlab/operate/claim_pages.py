"""Claims as pages for a sceptical reader: verdicts, numbers, tuning curves, and the exact requests behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from actlab.cli.claim_tables import VERDICTS, interval
from actlab.client import Json, Lab
from actlab.operate.forest import forest

_MOST_NAMED = 6


def write(lab: Lab, claims: Sequence[Json], verdicts: Mapping[str, Json], folder: Path, *, took_s: float) -> Path:
    """One page, one drawing and one data file a claim, and an index. Returns the index."""
    folder.mkdir(parents=True, exist_ok=True)
    for claim in claims:
        name, found = claim["name"], verdicts[claim["name"]]
        experiments = [{**member, **_asked(lab.get(member["id"]))} for member in found["experiments"]]
        tuning = {each["key"]: lab.comparison(each["id"], _tuned_by(each)) for each in experiments if _tunes(each)}
        (folder / f"{name}.svg").write_text(forest(found["parts"]), encoding="utf-8")
        (folder / f"{name}.md").write_text("\n".join(_page(claim, found, experiments, tuning)) + "\n", encoding="utf-8")
        data = {"verdict": found, "experiments": experiments, "tuning": tuning}
        (folder / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    index = folder / "README.md"
    index.write_text("\n".join(_index(claims, verdicts, took_s)) + "\n", encoding="utf-8")
    return index


def _asked(experiment: Json) -> Json:
    """What anyone needs to ask for the same again; without the name and tags, which decide nothing."""
    spec = {key: value for key, value in experiment["spec"].items() if key not in ("name", "tags")}
    return {"runs": experiment["runs"], "spec": spec, "spec_digest": experiment["spec_digest"]}


def _tunes(experiment: Json) -> bool:
    return str(experiment["key"]).startswith("tuning")


def _tuned_by(experiment: Json) -> str:
    return "probe_loss" if experiment["spec"]["dataset"]["name"] == "function_1d" else "loss_auc"


def _index(claims: Sequence[Json], verdicts: Mapping[str, Json], took_s: float) -> Iterator[str]:
    efforts = ", ".join(sorted({found["effort"] for found in verdicts.values()}))
    yield "# The claims, and what is so\n"
    yield f"Made by `make claims` ({efforts}) in {took_s / 60:.0f} min. Every page has the numbers, the rule behind its"
    yield "verdicts, and the exact requests, so that anyone can ask again.\n"
    yield "Training amplifies the last digit: on another kind of processor the same requests make other networks,"
    yield "numbers move within their intervals, and a verdict near its threshold may change.\n"
    for claim in claims:
        yield f"## [{claim['name']}]({claim['name']}.md): {claim['sentence']}\n"
        yield f"{_answer(verdicts[claim['name']])}\n"
        for part in sorted(verdicts[claim["name"]]["parts"], key=lambda part: VERDICTS.index(part["verdict"])):
            yield f"- **{part['verdict']}**: {part['statement']}"
        yield ""


def _answer(found: Json) -> str:
    """With how the claim stands, which it begins with, in bold."""
    standing, _, rest = found["answer"].partition(". ")
    return f"**{standing}.** {rest}"


def _page(claim: Json, found: Json, experiments: Sequence[Json], tuning: Mapping[str, Json]) -> Iterator[str]:
    yield f"# {claim['name']}: {claim['title']}\n"
    yield f"> {claim['sentence']}\n"
    yield f"{_answer(found)}\n"
    yield "| part | verdict | |\n|---|---|---|"
    yield from (f"| {part['name']} | **{part['verdict']}** | {part['statement']} |" for part in found["parts"])
    yield f"\n![Every effect with its interval]({claim['name']}.svg)\n"
    if found["missing"]:
        yield "Missing: " + "; ".join(found["missing"]) + ".\n"
    yield (
        "A part that claims an effect above the smallest one of interest is supported where the interval lies wholly "
        "above it, and refuted where it lies wholly below: no effect, or one the other way round. A part that claims "
        "an effect within plus or minus it is supported where the interval lies wholly within, and refuted where it "
        "lies wholly beyond. Else inconclusive, and always so below five networks or with more than a tenth of them "
        "missing. A part with several effects holds where all of them do, and falls where one of them does. How sure "
        "that is, and where the shares of units are so skewed that intervals are too narrow, is in "
        "[statistics.md](../statistics.md)."
    )
    for part in found["parts"]:
        yield from _part(part)
    yield from _tuning(tuning)
    yield from _experiments(claim["name"], experiments)


def _part(part: Json) -> Iterator[str]:
    yield f"\n## {part['name']}: {part['verdict']}\n"
    yield f"{part['statement']}\n"
    yield f"*{part['sentence']}*\n"
    yield f"- Effect: {part['effect']}"
    within = "above" if part["direction"] == "above" else "within plus or minus"
    yield f"- Claimed: {within} the smallest effect of interest; intervals at {100 * part['level']:.4g} %."
    yield f"- Why: {part['explanation']}"
    yield f"- What would change it: {part['would_change']}\n"
    if part["numbers"]:
        yield "| | n | missing | mean [interval] | of interest | verdict | note |\n|---|---|---|---|---|---|---|"
        yield from (_number(number) for number in part["numbers"])
    for number in part["numbers"]:
        if number["made_of"]:
            made_of = "; ".join(f"{each['label']}: {each['value']:.4g}" for each in number["made_of"])
            yield f"\n{number['label']} is worked out from: {made_of}."


def _number(number: Json) -> str:
    counts = f"{number['n']} | {number['missing']}"
    ends = f"{interval(number)} | {number['sesoi']:.3g} | {number['verdict']} | {number['note']}"
    return f"| {number['label'].replace('|', chr(92) + '|')} | {counts} | {ends} |"


def _tuning(tuning: Mapping[str, Json]) -> Iterator[str]:
    for key, comparison in tuning.items():
        yield f"\n## The learning rates ({key})\n"
        yield f"{comparison['definition']} On seeds that nothing is judged on; the lowest mean without a lost network"
        yield "is taken.\n"
        yield "| arm | mean | n | diverged |\n|---|---|---|---|"
        for arm in comparison["arms"]:
            mean = "-" if arm["mean"] is None else f"{arm['mean']:.4g}"
            yield f"| {arm['label']} | {mean} | {arm['n']} | {arm['diverged']} |"


def _experiments(name: str, experiments: Sequence[Json]) -> Iterator[str]:
    if not experiments:
        yield "\nNothing trains here: the numbers are computed where they are asked for."
        return
    yield "\n## The experiments\n"
    yield f"The exact requests are in [{name}.json]({name}.json); each can be posted as it is. What the means above"
    yield "are taken of is there too, network by network, under `effects`.\n"
    yield "What is read of each is one number a network, of which `/comparison?metric=NAME&at=first|last&layer=L` shows"
    yield "the means; those of the networks themselves are in its `/runs`, `/measurements` and `/curves`.\n"
    yield (
        "| stage | experiment | activations | set-up | networks | diverged | failed | probe | read "
        "| digest of the request |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for each in experiments:
        runs = each["runs"]
        total = sum(runs[state] for state in ("queued", "running", "succeeded", "failed", "cancelled"))
        yield (
            f"| {each['stage']} | {each['key']} | {_activations(each['spec'])} | {_setup(each['spec'])} "
            f"| {total} | {runs['diverged']} "
            f"| {runs['failed']} | {each['spec']['recording']['probe_size']} | {_reads(each['reads'])} "
            f"| `{each['spec_digest'][:12]}` |"
        )


def _activations(spec: Json) -> str:
    names = list(dict.fromkeys(each if isinstance(each, str) else each["name"] for each in spec["activations"]))
    return ", ".join(names) if len(names) <= _MOST_NAMED else f"all {len(names)}"


def _setup(spec: Json) -> str:
    """What it trains, on what, and how, with every value of a field that is swept."""

    def told(section: str, field: str) -> str:
        return " or ".join(map(str, spec["sweep"].get(f"{section}.{field}", [spec[section].get(field)])))

    network = f"{told('network', 'depth')} x {told('network', 'width')}, {told('network', 'initialization')}"
    norm = told("network", "normalization")
    length = "steps" if "steps" in spec["training"] else "epochs"
    training = f"{told('training', 'optimizer')} at {told('training', 'learning_rate')}"
    return (
        f"{told('dataset', 'name')}; {network}{'' if norm == 'none' else f', {norm}'}; {training}, batches of "
        f"{told('training', 'batch_size')}, {told('training', length)} {length}"
    )


def _reads(readings: Sequence[Json]) -> str:
    """By metric: at which step, and of which layers where not of their mean."""
    layers: dict[tuple[str, str], list[int | None]] = {}
    for reading in readings:
        layers.setdefault((reading["metric"], reading["at"]), []).append(reading["layer"])
    return "; ".join(
        f"{metric}, {at}" + (f", layer {', '.join(map(str, of))}" if of != [None] else "")
        for (metric, at), of in layers.items()
    )
