// Means, medians, quantiles and straight lines through points.

export { linearRegression, mean, median, quantile } from "npm:simple-statistics@7.12.1";
