// Formulas in TeX as MathML, for `marked`.

export { default as formulas } from "npm:marked-katex-extension@5.1.13";
