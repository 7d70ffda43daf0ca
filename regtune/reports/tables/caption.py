"""The words above the comparison table: what may be concluded, what it shows, what the inference is over."""

from __future__ import annotations

from collections.abc import Sequence

from regtune.analysis.pruning import rung_rankings
from regtune.core.header import ConfirmRecord, SweepRecord
from regtune.core.metric import ACCURACY
from regtune.core.records import Json
from regtune.core.resampling import DRAWS, LEAST
from regtune.core.resampling import MOST as MOST_RIVALS
from regtune.pruners import ENDED, pruning_of, unused
from regtune.reports.text import THIS, interval_words
from regtune.results.loader import Results
from regtune.statistics.power import MOST, POWER
from regtune.statistics.racing import FAR, Race

_KEPT = "its kept epoch (the last, unless a method of the arm keeps another)"
_AGAIN = "Each trial was then trained a second time, on train + validation, from other initial weights,"
RETRAINED = {
    "none": "{score} at the kept epoch (the last, unless a method of the arm keeps another),",
    "updates": f"{_AGAIN} for as many updates as it took to reach {_KEPT}. {{score}} at the end of that training,",
    "epochs": f"{_AGAIN} for as many epochs as it took to reach {_KEPT}. {{score}} at the end of that training,",
    "loss": f"Each trial was then trained a second time, on train + validation, starting from {_KEPT}. It ended when "
    "the loss on the validation examples was as low as it had been on the training examples. Targets missed: trials "
    "that the cap on epochs ended before. {score} at the end of that training,",
}  # of the test scores, which `retrained` names
SPLITS = {
    "one": "All seeds have one split.",
    "fresh": "Each seed has its own split into training and validation examples, the same in all arms.",
}
FRESH = {"one": "fresh seeds", "fresh": "fresh seeds and splits"}
OVERLAP = "Training splits of the same examples overlap; for new data the intervals would be wider."
OVER = {
    "one": "The inference is over seeds, for the chosen configurations, on this test set.",
    "fresh": "The inference is over seeds and splits together, for the chosen configurations, on this test set. "
    + OVERLAP,
}
CORRECTED = (
    "simultaneous 95 % intervals (Bonferroni). Verdicts: paired t-tests with Holm's correction (any false rejection: "
    "5 %)."
)
CUT = (
    "An interval is cut at 0 where only Holm's test rejects; with such cuts all intervals and verdicts hold together "
    "at 90 %."
)
CROSSED = (
    "Test set resampled: the interval of the difference, at the same confidence, where test examples are resampled as "
    "well as seeds (crossed bootstrap, stretched to the unbiased variance and Student's quantiles). It shows how far "
    "the difference depends on this test set."
)
BETTER = (
    "Better in %: the share of seeds on which the arm was better, ties counted half, with the 95 % interval of Clopper "
    "and Pearson (each arm by itself)."
)
FURTHER = (
    f"Unresolved (+n): at most n further seeds ({MOST:,} in all at most) would resolve it with probability {POWER:g}, "
    f"if the observed mean and spread were the true ones. This is for planning a new sweep: verdicts after adding "
    f"seeds because of this table do not hold at 5 % (racing may look repeatedly)."
)

ONCE = (
    f'for the configuration of each arm that this one search found ("{THIS}"). Another search may find other '
    f"configurations, with other verdicts"
)


def caption(results: Results) -> str:
    """Say what may be concluded from the table, what it shows, what the inference is over, and then the details."""
    sweep, confirm = results.sweep, results.sweep.confirm
    baseline, metric = sweep.baseline, sweep.confirm.metric
    budgets = sorted({arm.trials for arm in sweep.arms.values()})
    chosen = "chosen by mean" if sweep.select else "with the best"
    sentences = [
        conclusion(results),
        subject(results),
        f"Confirm: the configuration of each arm {chosen} validation {sweep.search.metric.words}, trained on "
        f"{seeds_words(confirm)} fresh seeds that all arms share. {SPLITS[confirm.splits]}",
        f"{retrained(confirm)} with its {interval_words(metric)} and standard deviation (sd).",
        f"Difference: to {baseline} in {metric.unit}{metric.sign}, paired over the seeds that both arms finished, with "
        f"{CORRECTED}",
        relevant_words(confirm),
        OVER[confirm.splits],
        rivals_words(results),
        raced_words(results),
        unlabelled_words(sweep),
        source_words(sweep),
        f"Search: {either(budgets)} trials per arm of at most {sweep.arms[baseline].template['epochs']} epochs; "
        f"{pruning_words(sweep)}.",
        rungs_words(results),
        select_words(results),
        CUT,
        CROSSED if metric == ACCURACY and (results.trials["test_right"] != "").any() and not confirm.racing else "",
        BETTER,
        "" if confirm.racing or confirm.scope == "searches" else FURTHER,
        *results.notes,
    ]
    return " ".join(filter(None, sentences))


def retrained(confirm: ConfirmRecord) -> str:
    """Say what test scores are, and where in training they were taken."""
    score = confirm.metric.measured("Test")
    return RETRAINED[confirm.retrain].format(score=score)


def conclusion(results: Results) -> str:
    """Say in one sentence what a reader may conclude from the table, and of what."""
    baseline, *others = results.sweep.arms
    fresh = FRESH[results.sweep.confirm.splits]
    if not others:
        return f"How {baseline} does on {fresh}, for the configuration that this one search found."
    if results.sweep.confirm.over_searches:
        return f"Which arms beat {baseline} on {fresh}; intervals include the variance between searches."
    return f"Which arms beat {baseline} on {fresh}, {ONCE}."


def subject(results: Results) -> str:
    """Say which sweep it is, and of which network on which data."""
    template = results.sweep.template
    data = data_words(results.counted_data, results.sweep.confirm)
    return f"Sweep {results.sweep.name}{_repeat(results)}: {template['network']['name']} on {data}."


def _repeat(results: Results) -> str:
    return f", repeat {results.repeat}" if results.repeat > 1 else ""


def pruning_words(sweep: SweepRecord) -> str:
    """Say which search trials ended early."""
    pruning, control = pruning_of(sweep), sweep.search.control
    spared = f". A control share of {100 * control:g} % of the trials is never pruned" if control else ""
    return pruning.words + (spared if pruning.at_rungs else "")


def rungs_words(results: Results) -> str:
    """Say which rungs a cautious pruner did not use as search ended; empty where it used all, or with another."""
    found = rung_rankings(results)
    few = sum(rung.n < ENDED for rung in found.values())
    waiting = (
        f"{few} of {len(found)} rungs, over all arms, were reached by fewer than {ENDED} trials that finished"
        if few
        else ""
    )
    text = "; ".join(filter(None, (unused(found), waiting)))
    return f"When search ended: {text}." if text else ""


def seeds_words(confirm: ConfirmRecord) -> str:
    """Return on how many seeds each arm is confirmed."""
    return f"{confirm.first} to {confirm.seeds}" if confirm.racing else str(confirm.seeds)


def data_words(data: Json, confirm: ConfirmRecord) -> str:
    """Say which data: a folder's name alone says nothing, and corrupted data must not pass for others."""
    text = " ".join(filter(None, (data["name"], data.get("path")))) + f", {data['train']} training examples"
    if isinstance(data.get("classes"), list):  # a number of classes is that of made-up data
        text += f" of the classes {', '.join(map(str, data['classes']))}"
    if data.get("label_noise"):
        text += f", each training label resampled with probability {data['label_noise']:g}"
        if confirm.retrain != "none":
            text += " (labels of validation examples, when added to training, are clean)"
    if data.get("pixels", "true") != "true":
        text += f", {data['pixels']} pixels in all splits"
        if confirm.splits == "fresh":
            text += ", redrawn for each seed"
    return text


BESIDE = ("contrastive", "rotation_prediction")  # methods that want pictures without labels at each update


def unlabelled_words(sweep: SweepRecord) -> str:
    """Say which arms learn from pictures that the others do not see; empty where none does."""
    rows = ((name, row) for name, arm in sweep.arms.items() for row in arm.template["recipe"])
    asking = [(name, row["name"] in BESIDE) for name, row in rows if row.get("pictures") == "all"]
    first = dict.fromkeys(name for name, beside in asking if not beside)
    steps = dict.fromkeys(name for name, beside in asking if beside)
    sentences = []
    if first:
        sentences.append(
            f"Pretrained without labels on all pictures that are in no other split, where the training examples leave "
            f"any: {', '.join(first)}."
        )
    if steps:
        sentences.append(
            f"Beside the {sweep.template['batch']} examples of each update, which alone the examples of the budget "
            f"count, as many pictures without labels, drawn from all that are in no split: {', '.join(steps)}."
        )
    return " ".join(sentences)


def source_words(sweep: SweepRecord) -> str:
    """Say which arms learn from other labelled examples first, or begin with weights; empty where none does."""
    recipes = ((name, row) for name, arm in sweep.arms.items() for row in arm.template["recipe"])
    rows = [(name, row) for name, row in recipes if row["name"] == "transfer"]
    # A knob that is searched is no setting of all trials of an arm.
    sources = [(name, row.get("source", "searched")) for name, row in rows if row.get("epochs") != 0]
    said = {
        "Pretrained on the labelled examples of another data set": [
            f"{name} ({source})" for name, source in sources if source != "other_classes"
        ],
        "Pretrained on the training examples of the classes left out": [
            name for name, source in sources if source == "other_classes"
        ],
        "Begun with the weights of a file, what these have cost is not counted": [
            f"{name} ({row['weights']})" for name, row in rows if row.get("weights")
        ],
    }
    return " ".join(f"{words}: {', '.join(arms)}." for words, arms in said.items() if arms)


def either(values: Sequence[int]) -> str:
    """Return one number, or from which to which."""
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def select_words(results: Results) -> str:
    """Say how the configuration of each arm was chosen where it was by more than its score in search."""
    terms = results.sweep.select
    if not terms:
        return ""
    off = ", ".join(arm for arm in results.sweep.arms if arm in results.off)
    left = (
        f" Off is as good: {off}. There the baseline's choice was better in select by more than one standard error of "
        f"the paired differences. Such an arm counts as the baseline (difference 0 by construction, no interval)."
        if off
        else ""
    )
    metric = results.sweep.search.metric
    close = f" (up to {terms.most}, if more are within two standard errors of its best)" if metric == ACCURACY else ""
    return (
        f"Select: the best {terms.candidates} configurations of each arm{close}, trained on up to {terms.seeds} "
        f"further seeds that all arms share. The better half stays in from round to round; only validation scores "
        f"count.{left}"
    )


def rivals_words(results: Results) -> str:
    """Say what verdicts add to the spread over seeds where they are over searches; empty where they are not."""
    if results.searches is None:
        return ""
    open_ = " Rivals are not all trained yet; until then there are no intervals." if results.rivals_open else ""
    return (
        f"Intervals and verdicts are over searches, of which this is one. The trials of search and the seeds of select "
        f"are resampled {DRAWS} times, and each time the choice is made again. Rivals are choices made in "
        f"{100 * LEAST:g} % of these draws or more, up to {MOST_RIVALS} of an arm; they are confirmed on "
        f"{results.searches.seeds} seeds. The variance over choices, at least the mean of all arms', is added to the "
        f"variance of the mean over seeds. {results.sweep.confirm.metric.long}, better in % and test set resampled are "
        f"of the chosen configuration.{open_}"
    )


def raced_words(results: Results) -> str:
    """Say in the caption what a race did; empty without one."""
    race = Race.of(results.sweep.confirm)
    if race is None:
        return ""
    looks, metric = ", ".join(map(str, race.looks)), results.sweep.confirm.metric
    text = (
        f"Racing: after {looks} seeds only the baseline and arms still unresolved against it continue. The error "
        f"is split over these looks in proportion to the seeds that each adds. P-values and intervals of the "
        f"difference are corrected for that; those of {metric.short} and of better in % are not. Means after racing "
        f"are biased away from the baseline."
    )
    if results.searches is None:
        return text
    return (
        f"{text} All looks add the same variance over choices, known at the first; the noise of the few seeds that it "
        f"rests on is left in it. An arm gets no more seeds if that variance alone would keep it unresolved at every "
        f"later look. Its mean is then assumed to lie as far out as these seeds allow with probability "
        f"{100 * FAR:g} %."
    )


def relevant_words(confirm: ConfirmRecord) -> str:
    """Say what the column shows; empty where there is none."""
    margin = confirm.relevant
    if margin is None:
        return ""
    unit = confirm.metric.unit
    return (
        f"Relevant: better or worse by more than {margin:g} {unit}, equal within them (two one-sided tests), or "
        f"undecided. Any false one of these: 5 % (Bonferroni), provided {margin:g} was set before scores were seen."
    )
