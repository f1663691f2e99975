"""The words of a statement in French, after the VIM (JCGM 200:2012) and the GUM (JCGM 100:2008)."""

WORDS = {
    "title": "Déclaration d’incertitude des prédictions d’un réseau de neurones",
    "subtitle": "entrées : {inputs} ; {what} : {columns} ; {date}",
    "classes": "classes",
    "outputs": "sorties",
    "summary": "Synthèse",
    "results": "Résultats",
    "budget_section": "Bilan d’incertitude",
    "conformity": "Conformité",
    "nominal_section": "Propriétés qualitatives",
    "method_section": "Méthode d’évaluation",
    "identification": "Identification",
    # le mesurande
    "retraining_measurand": "Le mesurande est la valeur que prédirait, pour l’entrée considérée, un "
    "nouvel entraînement effectué selon la même procédure.",
    "mean_measurand": "Le mesurande est la moyenne des valeurs que prédiraient, pour l’entrée "
    "considérée, tous les entraînements effectués selon la même procédure.",
    "estimate_mean": "L’estimation est la moyenne sur {members}.",
    "estimate_network": "L’estimation est la prédiction du réseau utilisé, sans correction : son "
    "écart à la moyenne sur {members} est inclus dans l’incertitude.",
    "members_networks": "{n} réseaux entraînés",
    "members_draws": "{n} entraînements simulés",
    # la synthèse
    "typical": "Sur l’ensemble des entrées ({inputs} au total), l’incertitude-type composée{which} "
    "vaut typiquement {found}.",
    "typical_part": "{u} (moyenne quadratique ; de {low} à {high} pour les 90 % centraux des "
    "entrées)",
    "of_answer": " de la probabilité de la classe la plus probable",
    "of_units": " {units}",
    "expanded_said": "Les incertitudes élargies U = k u correspondent à une probabilité de couverture "
    "de {level}, le facteur d’élargissement k étant celui de la loi de Student pour les degrés de "
    "liberté effectifs ({k} pour l’entrée typique).",
    "k_said": "Les incertitudes élargies U = k u sont obtenues avec le facteur d’élargissement "
    "k = {k}, soit une probabilité de couverture de {level} pour l’entrée typique.",
    "decided_said": "{accepted} des entrées sont acceptées comme conformes, {rejected} sont rejetées, "
    "et {deferred} sont soumises à un opérateur.",
    "flagged": "Avant toute utilisation : {flags}.",
    "flag_outside": "entrées hors du domaine connu de la méthode, dont l’incertitude n’est "
    "qu’indicative : {n}",
    "flag_check": "la vérification de la procédure d’entraînement a échoué, de sorte que l’échelle "
    "de l’incertitude n’est pas fiable",
    "flag_boundary": "entrées dont l’intervalle estimation ± U sort des bornes 0 et 1, de sorte que "
    "l’intervalle élargi est à utiliser : {n}",
    "flag_zero": "entrées pour lesquelles toutes les prédictions coïncident au dernier chiffre près, "
    "ce qui ne prouve pas qu’un nouvel entraînement donnerait la même : {n}",
    "no_flags": "aucune anomalie n’a été relevée",
    # les colonnes
    "input": "entrée",
    "output": "sortie",
    "class": "classe",
    "estimate": "estimation",
    "probability": "probabilité",
    "u_c": "incertitude-type composée",
    "u_c_short": "u",
    "freedom": "degrés de liberté effectifs",
    "freedom_short": "ν",
    "k": "facteur d’élargissement",
    "U": "incertitude élargie",
    "interval": "intervalle élargi",
    "interval_short": "intervalle à {level}",
    "decision": "décision",
    "flags": "mentions",
    "stated_note": "Les chiffres entre parenthèses sont l’incertitude-type, exprimée en unités des "
    "derniers chiffres de l’estimation. U et u sont donnés avec deux chiffres significatifs, "
    "arrondis au plus proche.",
    "interval_note": "Les intervalles élargis sont probabilistiquement symétriques.",
    "shown_note": "Seules les {shown} entrées les plus incertaines sur {n} sont présentées ; le "
    "fichier de résultats les contient toutes.",
    "flag_outside_short": "hors domaine",
    "flag_check_short": "vérification",
    "flag_boundary_short": "borne",
    "flag_zero_short": "nul",
    # le bilan
    "results_title": "Estimations et incertitudes, par incertitude décroissante.",
    "budget_title": "Composantes de l’incertitude, en moyenne quadratique sur les entrées{which} ; chaque part est "
    "celle de u².",
    "source": "source",
    "u": "incertitude-type",
    "share": "part de u²",
    "type": "type",
    "basis": "origine",
    "retraining": "réentraînement",
    "networks": "nombre fini de réseaux",
    "draws": "nombre fini de tirages",
    "method": "méthode",
    "deviation": "réseau utilisé, écart à la moyenne",
    "combined": "composée",
    "not_known": "inconnue",
    "not_counted": "non incluse",
    "infinite": "∞",
    "basis_networks": "dispersion des réseaux",
    "basis_draws": "dispersion des tirages",
    "basis_emulator": "émulateur, à partir de peu de réseaux",
    "basis_centre": "nombre et nature des réseaux",
    "basis_level": "intervalle du niveau de l’émulateur",
    "basis_excess": "marge des tirages de l’émulateur",
    "basis_user": "fournie par l’utilisateur",
    "basis_network": "écart connu",
    "basis_unknown": "–",
    "sources_title": "Décomposition par source de l’incertitude due au réentraînement.",
    "ends": "intervalle",
    # la conformité
    "rule_low": "Une entrée est conforme si {what} est au moins égale à {low}.",
    "rule_high": "Une entrée est conforme si {what} est au plus égale à {high}.",
    "rule_both": "Une entrée est conforme si {what} est comprise entre {low} et {high}.",
    "what_answer": "la probabilité de sa classe la plus probable",
    "what_output": "la valeur de « {output} »",
    "rule_guard": "Elle est acceptée si l’estimation se trouve à l’intérieur des limites de tolérance "
    "d’au moins une bande de garde de {guard} U, rejetée si elle se trouve d’autant à l’extérieur, "
    "et soumise à un opérateur entre les deux.",
    "rule_risk": "Elle est acceptée si le risque de fausse acceptation ne dépasse pas {risk}, rejetée "
    "si le risque de faux rejet ne le dépasse pas, et soumise à un opérateur sinon.",
    "risks_title": "Décisions de conformité et risques sur l’ensemble des entrées.",
    "accept": "acceptée",
    "reject": "rejetée",
    "defer": "à examiner",
    "decisions": "part des entrées",
    "risk_false_acceptance": "risque global de fausse acceptation",
    "risk_false_rejection": "risque global de faux rejet",
    "quantity": "grandeur",
    "value": "valeur",
    # les propriétés qualitatives
    "nominal_title": "Indices de la distribution de probabilité sur les classes, en moyenne sur les "
    "entrées.",
    "index": "indice",
    "iqv": "indice de variation qualitative (IQV)",
    "cnv": "coefficient de variation nominale (CNV)",
    "entropy": "entropie, en nats",
    "evenness": "entropie rapportée à son maximum",
    "vr": "rapport de variation",
    "mutual_information": "information mutuelle avec l’entraînement, en nats",
    "disagreement": "part des entraînements dont la classe la plus probable diffère",
    "u_index": "écart-type sur les entraînements",
    # la méthode
    "how_retraining": "u(réentraînement) est l’écart-type sur les entraînements ; u² y ajoute ce que "
    "laissent indéterminé le nombre fini de réseaux et de tirages, et la méthode elle-même.",
    "how_mean": "u² regroupe ce que laissent indéterminé le nombre fini de réseaux et de tirages, et "
    "la méthode elle-même ; l’écart-type sur les entraînements n’en fait pas partie.",
    "how_unknown": "L’incertitude de la méthode elle-même est inconnue et n’est pas incluse dans u.",
    "how_student": "Les intervalles élargis sont ceux de la loi de Student, pour les probabilités sur "
    "l’échelle des logits, de sorte qu’ils restent compris entre 0 et 1.",
    "how_order": "Les intervalles élargis sont des statistiques d’ordre des tirages (JCGM 101:2008, "
    "7.7), ramenées à l’incertitude-type composée et, pour les probabilités, limitées à 0 et 1.",
    "how_mean_interval": "Les intervalles élargis des probabilités moyennes sont obtenus par tirage de "
    "la moyenne d’une loi normale des logits, de moyenne et de dispersion celles des réseaux.",
    "not_covered": "L’incertitude est celle d’un nouvel entraînement sur les mêmes données. Elle ne "
    "donne pas la probabilité d’une erreur : des entraînements peuvent s’accorder sur une erreur.",
    "documents": "Documents : JCGM 100:2008, JCGM 101:2008, JCGM 102:2011, JCGM 106:2012 ; arrondis "
    "selon EA-4/02 M:2022 ; indices des propriétés qualitatives d’après Bilson et al. 2025, "
    "arXiv 2504.03359.",
    # les figures
    "estimates_caption": "Les {shown} entrées les plus incertaines : estimations et intervalles "
    "élargis à {level}.",
    "u_caption": "Incertitude-type composée en fonction de {against}. Chaque point est une entrée.",
    "against_confidence": "la probabilité estimée de la réponse",
    "against_estimate": "l’estimation",
    "pictures_caption": "Les entrées les plus incertaines, avec leur réponse et son incertitude.",
    "budget_caption": "Composantes de l’incertitude, en moyenne quadratique sur les entrées.",
    "deferral_caption": "Risque d’erreur des entrées conservées, en fonction de la part soumise à un "
    "opérateur, les plus douteuses d’abord. Une erreur est {basis}.",
    "basis_error_labels": "une réponse qui diffère de l’étiquette",
    "basis_error_labels of conformity": "une valeur vraie conforme quand l’estimation ne l’est pas, "
    "ou l’inverse",
    "basis_error_conformity": "une mauvaise décision fondée sur la seule estimation",
    "basis_error_draws": "le fait qu’un nouvel entraînement donnerait une autre réponse",
    "deferred_share": "part soumise à un opérateur",
    "error_risk": "risque d’erreur du reste",
    # l'identification
    "software": "logiciel",
    "made": "établie le",
    "versions": "versions",
    "seed": "graine des tirages",
    "predictions_sha256": "SHA-256 des prédictions",
    "inputs_sha256": "SHA-256 des entrées",
    "weights_sha256": "SHA-256 des poids des réseaux",
    "trainings": "coût en entraînements",
    "checked": "vérification de la procédure d’entraînement",
    "check_held": "aucun indice d’une autre procédure",
    "check_not_done": "non effectuée",
}
