// Medians, quantiles and straight lines through points.

export { linearRegression, median, quantile } from "npm:simple-statistics@7.12.1";
