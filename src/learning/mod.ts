/**
 * Learning on an engine: exact derivatives of attention, and a learner that steps keys, values and queries.
 *
 * @module
 */

export {
  type AttentionGradients,
  attentionGradients,
  type GradientMatrix,
  type GradientOptions,
} from "./attention_gradients.ts";
