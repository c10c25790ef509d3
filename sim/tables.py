"""The schemas of all tables; columns that do not apply to a row are null."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from sim import late_pandas

late_pandas.put_off()

_LABEL: Final = pa.dictionary(pa.int32(), pa.string())


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    names = [name for names, _ in columns for name in names.split()]
    types = [kind for names, kind in columns for _ in names.split()]
    return pa.schema(list(zip(names, types, strict=True)))


TRIALS: Final = _schema(
    ("bag model target estimator", _LABEL),
    ("size model_size trial", pa.int64()),
    ("estimate truth se lower upper", pa.float64()),
    ("status reason", _LABEL),
)

STATUS: Final = ("ok", "infinite", "undefined", "failed")

CONTROL: Final = "control"
"""The target of rows that carry control variates: their means are known, not estimated."""

TRACE: Final = _schema(
    ("bag", _LABEL),
    ("trial", pa.int64()),
    ("time", pa.float64()),
    ("event colour", _LABEL),
)

SUMMARY: Final = _schema(
    ("bag model target estimator", pa.string()),
    ("size trials infinite undefined failed", pa.int64()),
    ("p_infinite p_infinite_mcse truth mean bias bias_mcse sd sd_mcse", pa.float64()),
    ("rmse rmse_mcse mae mae_mcse q05 q25 median q75 q95", pa.float64()),
    ("coverage coverage_mcse width width_mcse", pa.float64()),
    ("exact_mean exact_sd exact_p_infinite exact_coverage z", pa.float64()),
    ("adjusted_bias adjusted_bias_mcse variance_reduction", pa.float64()),
    ("q05_low q05_high q25_low q25_high median_low median_high", pa.float64()),
    ("q75_low q75_high q95_low q95_high", pa.float64()),
    ("exact_q05 exact_q25 exact_median exact_q75 exact_q95", pa.float64()),
    ("p_within p_within_mcse exact_p_within", pa.float64()),
    ("error_quantile error_quantile_low error_quantile_high", pa.float64()),
)

CONVERGENCE: Final = _schema(
    ("bag model target estimator quantity", pa.string()),
    ("rate rate_se theory_rate constant constant_se theory_constant limit limit_se", pa.float64()),
    ("departs", pa.bool_()),
    ("from_size to_size size_for_error size_for_error_low size_for_error_high", pa.int64()),
    ("extrapolated", pa.bool_()),
    ("reason", pa.string()),
    ("asymptotic_from asymptotic_from_low asymptotic_from_high", pa.int64()),
    ("size_reason", pa.string()),
)

COMPARISON: Final = _schema(
    ("bag model target first second", pa.string()),
    ("size trials", pa.int64()),
    ("difference difference_mcse mse_ratio mse_ratio_mcse", pa.float64()),
    ("exact_difference exact_mse_ratio", pa.float64()),
    ("better", pa.string()),
    ("crossover crossover_se", pa.float64()),
)

BEST: Final = _schema(
    ("bag model target", pa.string()),
    ("size", pa.int64()),
    ("best", pa.string()),
    ("rmse", pa.float64()),
    ("rivals", pa.list_(pa.string())),
    ("told", pa.bool_()),
)

DIFFERENCES: Final = _schema(
    ("bag model target estimator", pa.string()),
    ("size", pa.int64()),
    ("measure", pa.string()),
    ("first second difference difference_mcse p_value p_adjusted", pa.float64()),
    ("trials", pa.int64()),
    ("paired", pa.bool_()),
    ("verdict", pa.string()),
)
"""What `klsim compare` finds: a row for each measure of each cell that two results have."""
