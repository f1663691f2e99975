"""The publications that reports refer to."""

REFERENCES = (
    "T. Gneiting and A. E. Raftery. Strictly proper scoring rules, prediction, and estimation. "
    "JASA 102, 2007. doi:10.1198/016214506000001437",
    "C. A. T. Ferro. Fair scores for ensemble forecasts. Q. J. R. Meteorol. Soc. 140, 2014. "
    "doi:10.1002/qj.2270",
    "A. Ashukha, A. Lyzhov, D. Molchanov, D. Vetrov. Pitfalls of in-domain uncertainty "
    "estimation and ensembling in deep learning. ICLR 2020. arXiv:2002.06470",
    "B. Lakshminarayanan, A. Pritzel, C. Blundell. Simple and scalable predictive uncertainty "
    "estimation using deep ensembles. NeurIPS 2017. arXiv:1612.01474",
    "G. W. Benton, W. J. Maddox, S. Lotfi, A. G. Wilson. Loss surface simplexes for mode "
    "connecting volumes and fast ensembling. ICML 2021. arXiv:2102.13042",
    "M. Wortsman, M. Horton, C. Guestrin, A. Farhadi, M. Rastegari. Learning neural network "
    "subspaces. ICML 2021. arXiv:2102.10472",
    "W. J. Maddox, T. Garipov, P. Izmailov, D. Vetrov, A. G. Wilson. A simple baseline for "
    "Bayesian uncertainty in deep learning. NeurIPS 2019. arXiv:1902.02476",
    "G. Huang, Y. Li, G. Pleiss, Z. Liu, J. E. Hopcroft, K. Q. Weinberger. Snapshot ensembles: "
    "train 1, get M for free. ICLR 2017. arXiv:1704.00109",
    "M. Okabe and K. Ito. Color universal design: how to make figures and presentations that "
    "are friendly to colorblind people. 2008.",
)
