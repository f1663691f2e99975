"""The words of a statement in English, after the VIM (JCGM 200:2012) and the GUM (JCGM 100:2008)."""

WORDS = {
    "title": "Uncertainty statement of a neural network's predictions",
    "subtitle": "inputs: {inputs}; {what}: {columns}; {date}",
    "classes": "classes",
    "outputs": "outputs",
    "summary": "Summary",
    "results": "Results",
    "budget_section": "Uncertainty budget",
    "conformity": "Conformity",
    "nominal_section": "Nominal properties",
    "method_section": "How this was evaluated",
    "identification": "Identification",
    # the measurand
    "retraining_measurand": "The measurand is what one more training by the same recipe would "
    "predict for the input.",
    "mean_measurand": "The measurand is the mean of what all trainings by the same recipe would "
    "predict for the input.",
    "estimate_mean": "The estimate is the mean over {members}.",
    "estimate_network": "The estimate is the prediction of the network in use, without correction: "
    "its deviation from the mean over {members} is a part of the uncertainty.",
    "members_networks": "{n} trained networks",
    "members_draws": "{n} simulated trainings",
    # the summary
    "typical": "Over the inputs ({inputs} in all), the combined standard uncertainty{which} is "
    "typically {found}.",
    "typical_part": "{u} (root mean square; {low} to {high} for the middle 90 % of the inputs)",
    "of_answer": " of the probability of the most probable class",
    "of_units": " {units}",
    "expanded_said": "Expanded uncertainties U = k u have the coverage probability {level}, with "
    "Student's factor k for the effective degrees of freedom ({k} for the typical input).",
    "k_said": "Expanded uncertainties U = k u have the coverage factor k = {k}, that is, the "
    "coverage probability {level} for the typical input.",
    "decided_said": "{accepted} of the inputs are accepted as conforming, {rejected} are rejected, "
    "and {deferred} are left to a human.",
    "flagged": "Before use: {flags}.",
    "flag_outside": "inputs unlike all that the method knows, whose uncertainty is a guess: {n}",
    "flag_check": "the check of the training recipe failed, so that the scale of the uncertainty is "
    "not to be trusted",
    "flag_boundary": "inputs whose interval estimate ± U leaves 0 to 1, so that the coverage interval "
    "is to be used: {n}",
    "flag_zero": "inputs on which all members agree to the last digit, which does not prove that "
    "another training would: {n}",
    "no_flags": "nothing was found that speaks against the numbers",
    # columns
    "input": "input",
    "output": "output",
    "class": "class",
    "estimate": "estimate",
    "probability": "probability",
    "u_c": "combined standard uncertainty",
    "u_c_short": "u",
    "freedom": "degrees of freedom",
    "freedom_short": "ν",
    "k": "coverage factor",
    "U": "expanded uncertainty",
    "interval": "coverage interval",
    "interval_short": "{level} interval",
    "decision": "decision",
    "flags": "flags",
    "stated_note": "Digits in parentheses are the standard uncertainty in units of the last digits "
    "of the estimate. U and u have two significant digits, rounded to the nearest.",
    "interval_note": "Intervals are probabilistically symmetric.",
    "shown_note": "The first {shown} of {n} inputs by uncertainty are shown; the table file has all.",
    "flag_outside_short": "outside",
    "flag_check_short": "check",
    "flag_boundary_short": "boundary",
    "flag_zero_short": "zero",
    # the budget
    "results_title": "Estimates with uncertainties, the most uncertain inputs first.",
    "budget_title": "Components of the uncertainty, root mean square over inputs{which}; each share is one of u².",
    "source": "source",
    "u": "standard uncertainty",
    "share": "share of u²",
    "type": "type",
    "basis": "basis",
    "retraining": "retraining",
    "networks": "finite number of networks",
    "draws": "finite number of draws",
    "method": "method",
    "deviation": "network in use, deviation from the mean",
    "combined": "combined",
    "not_known": "not known",
    "not_counted": "not a part",
    "infinite": "∞",
    "basis_networks": "spread of the networks",
    "basis_draws": "spread of the draws",
    "basis_emulator": "emulator, from few networks",
    "basis_centre": "number and kind of the networks",
    "basis_level": "interval of the emulator's level",
    "basis_excess": "allowance of the emulator's draws",
    "basis_user": "given by the user",
    "basis_network": "difference, known",
    "basis_unknown": "–",
    "sources_title": "How the uncertainty from retraining divides into sources.",
    "ends": "interval",
    # conformity
    "rule_low": "An input conforms where {what} is at least {low}.",
    "rule_high": "An input conforms where {what} is at most {high}.",
    "rule_both": "An input conforms where {what} is between {low} and {high}.",
    "what_answer": "the probability of its most probable class",
    "what_output": "“{output}”",
    "rule_guard": "It is accepted where the estimate is inside by a guard band of {guard} U or "
    "more, rejected where it is outside by as much, and deferred to a human between.",
    "rule_risk": "It is accepted where the risk of false acceptance is at most {risk}, rejected "
    "where the risk of false rejection is, and deferred to a human otherwise.",
    "risks_title": "Decisions and risks over all inputs.",
    "accept": "accept",
    "reject": "reject",
    "defer": "defer",
    "decisions": "share of the inputs",
    "risk_false_acceptance": "global risk of false acceptance",
    "risk_false_rejection": "global risk of false rejection",
    "quantity": "quantity",
    "value": "value",
    # nominal properties
    "nominal_title": "Indices of the probability mass function, mean over inputs.",
    "index": "index",
    "iqv": "index of qualitative variation (IQV)",
    "cnv": "coefficient of nominal variation (CNV)",
    "entropy": "entropy, in nats",
    "evenness": "entropy over its largest value",
    "vr": "variation ratio",
    "mutual_information": "mutual information with the training, in nats",
    "disagreement": "share of trainings with another most probable class",
    "u_index": "standard deviation over trainings",
    # how it was evaluated
    "how_retraining": "u(retraining) is the standard deviation over trainings; u² combines it with "
    "what the finite number of networks and draws, and the method itself, leave open.",
    "how_mean": "u² combines what the finite number of networks and draws, and the method itself, "
    "leave open; the standard deviation over trainings is not a part of it.",
    "how_unknown": "The uncertainty of the method itself is not known, and is not in u.",
    "how_student": "Intervals are those of Student's distribution, of probabilities on the scale of "
    "log-odds, so that they stay within 0 to 1.",
    "how_order": "Intervals are order statistics of the draws (JCGM 101:2008, 7.7), stretched to the "
    "combined standard uncertainty, and of probabilities cut at 0 and 1.",
    "how_mean_interval": "Intervals of mean probabilities are drawn from the distribution of the mean "
    "over a normal distribution of log-odds with the networks' mean and spread.",
    "not_covered": "The uncertainty is that of training again on the same data. It does not say how "
    "probable an error is: trainings can agree on an error.",
    "documents": "Documents: JCGM 100:2008, JCGM 101:2008, JCGM 102:2011, JCGM 106:2012; rounding by "
    "EA-4/02 M:2022; indices of nominal properties after Bilson et al. 2025, arXiv 2504.03359.",
    # figures
    "estimates_caption": "The {shown} most uncertain inputs: estimates with the {level} coverage "
    "interval.",
    "u_caption": "The combined standard uncertainty against {against}. Each point is an input.",
    "against_confidence": "the estimated probability of the answer",
    "against_estimate": "the estimate",
    "pictures_caption": "The most uncertain inputs, with answer and uncertainty.",
    "budget_caption": "The components of the uncertainty, root mean square over inputs.",
    "deferral_caption": "Risk of error of the inputs that are kept, against the share that is left "
    "to a human, the most doubtful first. An error is {basis}.",
    "basis_error_labels": "an answer that is not the label",
    "basis_error_labels of conformity": "a label that conforms where the estimate does not, or the "
    "other way round",
    "basis_error_conformity": "a wrong decision by the estimate alone",
    "basis_error_draws": "that another training answers otherwise",
    "deferred_share": "share deferred to a human",
    "error_risk": "risk of error of the rest",
    # identification
    "software": "software",
    "made": "made",
    "versions": "versions",
    "seed": "seed of the draws",
    "predictions_sha256": "SHA-256 of the predictions",
    "inputs_sha256": "SHA-256 of the inputs",
    "weights_sha256": "SHA-256 of the networks' weights",
    "trainings": "cost in trainings",
    "checked": "check of the training recipe",
    "check_held": "no sign of another recipe",
    "check_not_done": "not done",
}
