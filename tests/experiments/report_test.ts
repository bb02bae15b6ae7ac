import { assert, assertEquals, assertFalse, assertStringIncludes } from "../assert.ts";
import { costAgainstError, type Figure } from "../../src/experiments/figures.ts";
import { embedJson, embedScript, escapeHtml } from "../../src/experiments/report.ts";
import pageScript from "../../src/experiments/report_page.js" with { type: "text" };

Deno.test("escaping: text cannot become markup", () => {
  assertEquals(escapeHtml(`<b a="1" b='2'>&`), "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;");
});

Deno.test("escaping: data and programs cannot close the script around them and stay what they are", () => {
  const value = { text: "</script><!-- <b>", list: [1, null] };
  assertFalse(embedJson(value).includes("<"));
  assertEquals(JSON.parse(embedJson(value)), value);
  const source = `"</script></SCRIPT><!--"`;
  assertFalse(/<\/script|<!--/i.test(embedScript(source)));
  assertEquals(JSON.parse(embedScript(source).replaceAll("\\!", "!")), JSON.parse(source));
});

const POINTS = [
  { name: "a", family: "everyEdit", threshold: null, multiplyAddsPerDay: 9e6, relativeError: 3e-8 },
  { name: "b", family: "original", threshold: 1, multiplyAddsPerDay: 3e6, relativeError: 3e-8 },
  { name: "c", family: "original", threshold: 64, multiplyAddsPerDay: 100_000, relativeError: 1e-3 },
  { name: "d", family: "original", threshold: 256, multiplyAddsPerDay: 90_000, relativeError: 1.1e-3 },
  { name: "e", family: "exact", threshold: null, multiplyAddsPerDay: 60_000, relativeError: 0 },
] as const;

function trace(figure: Figure, name: string) {
  const found = figure.data.find((candidate) => candidate.name === name);
  assert(found, name);
  return found;
}

Deno.test("cost against error: points, one label for markers that lie together, no zero on a logarithmic axis", () => {
  const figure = costAgainstError(POINTS);
  const original = trace(figure, "original: wait, then rebuild");
  assertEquals(original.x, [3e6, 100_000, 90_000]);
  assertEquals(original.y, [3e-8, 1e-3, 1.1e-3]);
  assertEquals(original.text, ["\u20021\u2002", "", "\u200264, 256\u2002"]);
  const exact = trace(figure, "exact reads");
  assert(Array.isArray(exact.y) && exact.y[0] > 0);
  assertStringIncludes(JSON.stringify(figure.data), "150 × less work");
});

Deno.test("cost against error: every colour that it names is in both palettes", () => {
  const named = [...JSON.stringify(costAgainstError(POINTS)).matchAll(/"\$(\w+)"/g)].map(([, name]) => name);
  assert(named.length > 10);
  const [light, dark] = pageScript.split("dark: {");
  for (const name of named) {
    assert(light.includes(`${name}: "#`) && dark.includes(`${name}: "#`), name);
  }
});
