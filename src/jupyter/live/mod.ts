/**
 * Figures that live in the page: the reader moves sliders, and the page computes attention.
 *
 * @module
 */

export { liveAttention, type LiveAttentionOptions, type LiveDisplay, LiveFigure } from "./live_attention.ts";
