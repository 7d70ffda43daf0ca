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
from regtune.statistics.looks import FAR
from regtune.statistics.power import MOST, POWER
from regtune.statistics.racing import Race

_AGAIN = "Each trial was then trained a second time, on train + validation,"
RETRAINED = {
    "none": "{score} at the kept epoch (the recipe's choice, else the last)",
    "updates": f"{_AGAIN} from other initial weights, for as many updates as lead to its kept epoch (the recipe's "
    "choice, else the last). {score} at the end of that",
    "epochs": f"{_AGAIN} from other initial weights, for as many epochs as lead to its kept epoch (the recipe's "
    "choice, else the last). {score} at the end of that",
    "loss": f"{_AGAIN} on from its kept epoch, until the loss on the validation examples was as low as it had been "
    "on the training examples (targets missed: trials that the cap on epochs ended before). {score} at the "
    "end of that",
}  # of the test scores, which `retrained` names
SPLITS = {
    "one": "one split",
    "fresh": "each with a split into training and validation examples of its own, the same in all arms",
}
FRESH = {"one": "fresh seeds", "fresh": "fresh seeds and splits"}
OVER = {
    "one": "seeds, for the chosen configurations, on this test set",
    "fresh": "seeds and splits together, for the chosen configurations, on this test set; training splits of the same "
    "examples overlap, and for data drawn anew the intervals would be wider",
}
CROSSED = (
    "Test set drawn anew: the interval of the difference, at the same confidence, where seeds and test examples "
    "are both drawn anew (crossed bootstrap, stretched to the unbiased variance and Student's quantiles), which says "
    "how far it leans on this test set."
)
BETTER = (
    "Better in %: the share of seeds on which the arm was better, ties counted half, with the 95 % interval of Clopper "
    "and Pearson, each for itself."
)
FURTHER = (
    f"Unresolved (+n): at most n further seeds ({MOST:,} in all at most) would resolve it with probability {POWER:g}, "
    f"were the mean and the spread observed the true ones. That is for planning a new sweep: verdicts after adding "
    f"seeds because of this table do not hold at 5 % (racing may look often)."
)

ONCE = (
    f'for the configurations ("{THIS}") that search, run once, has found: run again it may find others, with other '
    f"verdicts"
)


def caption(results: Results) -> str:
    """Say what may be concluded from the table, what it shows and what the inference is over."""
    sweep, confirm = results.sweep, results.sweep.confirm
    baseline = sweep.baseline
    template = sweep.arms[baseline].template
    budgets = sorted({arm.trials for arm in sweep.arms.values()})
    splits, metric, raced = confirm.splits, sweep.confirm.metric, confirm.racing
    chosen, mean = ("chosen", "mean ") if sweep.select else ("best", "")
    sentences = [
        conclusion(results),
        subject(results),
        f"Search: {either(budgets)} trials per arm of at most {template['epochs']} epochs, {pruning_words(sweep)}.",
        rungs_words(results),
        select_words(results),
        f"Confirm: the {chosen} configuration of each arm by {mean}validation {sweep.search.metric.words}, on "
        f"{seeds_words(confirm)} fresh seeds that all arms share, {SPLITS[splits]}.",
        f"{retrained(confirm)} with its {interval_words(metric)} and standard deviation (sd); difference "
        f"to {baseline} in {metric.unit}{metric.sign}, paired over the seeds that both arms finished, with "
        f"Bonferroni's simultaneous 95 % intervals and verdicts by Holm's paired t-tests (any false rejection: 5 %); "
        f"an interval is cut at 0 where Holm alone rejects, and with such cuts all intervals and verdicts hold "
        f"together at 90 %.",
        rivals_words(results),
        relevant_words(confirm),
        raced_words(results),
        CROSSED if metric == ACCURACY and (results.trials["test_right"] != "").any() and not raced else "",
        BETTER,
        "" if raced or confirm.scope == "searches" else FURTHER,
        f"The inference is over {OVER[splits]}.",
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
        return f"How {baseline} does on {fresh}, for the configuration that search, run once, has found."
    if results.sweep.confirm.over_searches:
        return f"Which arms beat {baseline} on {fresh}, whichever of such searches had been run."
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
    spared = f", but for a control share of {100 * control:g} % that nothing ends" if control else ""
    return pruning.words + (spared if pruning.at_rungs else "")


def rungs_words(results: Results) -> str:
    """Say which rungs a cautious pruner did not use as search ended; empty where it used all, or with another."""
    found = rung_rankings(results)
    few = sum(rung.n < ENDED for rung in found.values())
    waiting = (
        f"{few} of {len(found)} rungs of all arms were passed by fewer than {ENDED} trials that ended" if few else ""
    )
    text = "; ".join(filter(None, (unused(found), waiting)))
    return f"When search ended: {text}." if text else ""


def seeds_words(confirm: ConfirmRecord) -> str:
    """Return on how many seeds each arm is confirmed."""
    return f"{confirm.first} to {confirm.seeds}" if confirm.racing else str(confirm.seeds)


def data_words(data: Json, confirm: ConfirmRecord) -> str:
    """Say which data: a folder's name alone says nothing, and corrupted data must not pass for others."""
    text = " ".join(filter(None, (data["name"], data.get("path")))) + f", {data['train']} training examples"
    if data.get("label_noise"):
        text += f", each training label drawn anew with probability {data['label_noise']:g}"
        if confirm.retrain != "none":
            text += " (those of the validation examples that join them are clean)"
    if data.get("pixels", "true") != "true":
        text += f", {data['pixels']} pixels in all splits"
        if confirm.splits == "fresh":
            text += ", drawn anew for each seed"
    return text


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
        f" Off is as good: where the baseline's choice was better there by more than one standard error of the paired "
        f"differences, the arm is the baseline (difference 0 by construction, no interval): {off}."
        if off
        else ""
    )
    metric = results.sweep.search.metric
    close = f", and all within two standard errors of its best up to {terms.most}" if metric == ACCURACY else ""
    return (
        f"Select: the best {terms.candidates} of each arm{close}, on up to {terms.seeds} further seeds that all "
        f"arms share, the better half going on from round to round; validation only.{left}"
    )


def rivals_words(results: Results) -> str:
    """Say what verdicts add to the spread over seeds where they are over searches; empty where they are not."""
    if results.searches is None:
        return ""
    open_ = " Rivals are still to be trained, and until then there are no intervals." if results.rivals_open else ""
    return (
        f"Intervals and verdicts are over searches, of which this is one: {DRAWS} times its trials and the seeds of "
        f"select are drawn again and the choice is made anew; choices made so in {100 * LEAST:g} % of the draws or "
        f"more, up to {MOST_RIVALS} of an arm, are confirmed on {results.searches.seeds} seeds, "
        f"and the variance over choices, at least the mean of all arms', is added to that of the mean over seeds. "
        f"{results.sweep.confirm.metric.long}, better in % and the test set drawn anew are of the configuration "
        f"chosen.{open_}"
    )


def raced_words(results: Results) -> str:
    """Say in the caption what a race did; empty without one."""
    race = Race.of(results.sweep.confirm)
    if race is None:
        return ""
    looks, metric = ", ".join(map(str, race.looks)), results.sweep.confirm.metric
    text = (
        f"Racing: after {looks} seeds only the baseline and arms not yet resolved against it went on, the error split "
        f"over these looks in proportion to the seeds that each adds; p-values and intervals of the difference are by "
        f"that split, those of {metric.short} and of better in % are not corrected for it, and means after racing lean "
        f"outward."
    )
    if results.searches is None:
        return text
    return (
        f"{text} All looks add the same variance over choices, known at the first; the noise of the few seeds that it "
        f"rests on is left in it. An arm that it alone would keep "
        f"unresolved at every look to come gets no more seeds; its mean is then taken to lie as far out as it would "
        f"by these seeds with probability {100 * FAR:g} %."
    )


def relevant_words(confirm: ConfirmRecord) -> str:
    """Say what the column shows; empty where there is none."""
    margin = confirm.relevant
    if margin is None:
        return ""
    unit = confirm.metric.unit
    return (
        f"Relevant: better or worse by more than {margin:g} {unit}, or equal within them by two one-sided tests, else "
        f"undecided; any false one of these: 5 % (Bonferroni), provided {margin:g} was set before scores were seen."
    )
