// Another library's automatic differentiation, for a test.

export * from "npm:@jax-js/jax@0.1.25";
