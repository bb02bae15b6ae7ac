// The command from its arguments to its report, over a few days.

import {
  assert,
  assertEquals,
  assertFalse,
  assertMatch,
  assertStringIncludes,
} from "../../testing/assert.ts";
import { budgetVerdicts } from "../../studies/budgets.ts";
import { start } from "../../studies/start.ts";

interface Run {
  readonly code: number;
  readonly printed: string;
  readonly errors: string;
}

async function run(...args: string[]): Promise<Run> {
  const printed: string[] = [], errors: string[] = [];
  const code = await start(args, {
    print: (text) => void printed.push(text),
    errors: { write: (text) => void errors.push(text), isTerminal: false, columns: 80 },
  });
  return { code, printed: printed.join("\n"), errors: errors.join("") };
}

/** The result without what depends on the machine's speed. */
function timeless(json: string): unknown {
  return JSON.parse(json, (name, value) => /Milliseconds|milliseconds/.test(name) ? undefined : value);
}

const folder = await Deno.makeTempDir();
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

Deno.test("start: 20 days end to end, twice the same", async (t) => {
  const args = [
    "--days",
    "20",
    "--threshold",
    "4",
    "--error",
    "0.004",
    "--backend",
    "array",
    "--seed",
    "3",
    "--learn-from",
    "2450",
  ];
  const first = await run(...args, "--json", "--out", `${folder}/first/`);
  const second = await run(...args, "--json", "--out", `${folder}/second`);
  assertEquals([first.code, second.code], [0, 0]);
  assertEquals(timeless(first.printed), timeless(second.printed));

  const result = JSON.parse(first.printed);
  await t.step("the result", () => {
    assertEquals(result.days, 20);
    assertEquals([result.firstDate, result.lastDate], ["1975-11-06", "1975-11-25"]);
    assertEquals(result.strategies.map(({ name }: { name: string }) => name), [
      "rebuild for each answer",
      "original, threshold 4",
      "error budget 0.004, then rebuild",
      "patch, threshold 4",
      "error budget 0.004, then patch",
      "target error 0.004, adaptive",
      "exact reads",
    ]);
    for (const { error, certificates } of result.strategies) {
      if (error === null) assertEquals(certificates, null);
      else {
        assertEquals([certificates.given, certificates.violations], [1120, 0]);
        // Within an error that waiting cannot win, every reading may be exact.
        assert(certificates.medianRatio === null || certificates.medianRatio >= 1);
        assert(certificates.largestBound <= error);
      }
    }
    const { models, gains } = result.learned;
    assertEquals(models.slice(0, 4).map(({ name }: { name: string }) => name), [
      "board with learned readouts",
      "board without learning",
      "online linear regression",
      "nearest neighbours",
    ]);
    for (const { errors } of models) {
      assert(errors.slice(0, 2).every((error: number) => error > 10 && error < 2000));
      assertEquals(errors[2], null, "within 20 days no forecast 28 days ahead can be judged");
    }
    assertEquals(gains.length, 3);
    assertEquals(result.audit.seed, 3);
    assertEquals(result.audit.dates.length, 8);
    assert(result.audit.readings > 0 && result.audit.readings < 1e-7);
    assert(result.audit.exactBoard < 1e-12);
    for (const { meanAbsoluteErrors } of [...result.strategies, ...result.baselines]) {
      assertEquals(meanAbsoluteErrors.length, 3);
      assert(meanAbsoluteErrors.every((error: number) => error > 10 && error < 2000));
    }
  });

  await t.step("progress and the way to the report go to standard error", () => {
    assertMatch(
      first.errors,
      /^timing: 7 strategies, .*\nprogress: \d+ % of the work, .* days\/s, .* left\n/,
    );
    assertMatch(first.errors, /progress: 100 % of the work, /);
    assertStringIncludes(first.errors, `report: ${folder}/first/index.html\n`);
  });

  await t.step("the report has its figures and asks for nothing from outside", async () => {
    const page = await Deno.readTextFile(`${folder}/first/index.html`);
    const embedded = /<script type="application\/json" id="figures">(.*)<\/script>/.exec(page);
    assert(embedded);
    const figures = JSON.parse(embedded[1]);
    assertEquals(Object.keys(figures), [
      "cost-against-error",
      "cost-against-worst-error",
      "forecast",
      "error-per-horizon",
    ]);
    for (const [id, { data }] of Object.entries<{ data: unknown[] }>(figures)) {
      assertStringIncludes(page, `id="${id}"`);
      assert(data.length >= 4, id);
    }
    assertEquals(page.match(/<script\b/g)?.length, 3);
    assertStringIncludes(page, "plotly.js (cartesian - minified)");

    // Scripts contain programs and data, which are no references of the page.
    const markup = page.replace(/(<script\b[^>]*>)[^]*?<\/script>/g, "$1");
    assertFalse(/\bsrc=|@import|https?:|url\(/.test(markup));
    assertEquals([...markup.matchAll(/href="([^"]*)"/g)].map(([, target]) => target), ["data:,"]);
    assertStringIncludes(markup, "patch, threshold 4");
    for (const verdict of budgetVerdicts(result.strategies)) assertStringIncludes(markup, verdict);
    assertEquals(markup.match(/<td>0 of 1,120<\/td>/g)?.length, 3);
  });
});

Deno.test("start: without --json a table", async () => {
  const { code, printed } = await run(
    "--days",
    "2",
    "--threshold",
    "2",
    "--error",
    "0.5",
    "--learn-from",
    "2490",
    "--out",
    `${folder}/table`,
  );
  assertEquals(code, 0);
  assertMatch(printed, /^Daily births in the USA, 1975-11-06 to 1975-11-07: 2 days in [\d.]+ s\n/);
  assertMatch(printed, /\nstrategy +ms\/day +multiply-adds\/day/);
  assertMatch(printed, /\noriginal, threshold 2 +[\d.,]+ +[\d,]+ /);
  assertMatch(
    printed,
    /\nerror budget 0\.5, then rebuild +\S+ +\S+ +0 of 112 .* original, threshold 2 +[\d.]+\n/,
  );
  assertMatch(printed, /\ntarget error 0\.5, adaptive +\S+ +\S+ +0 of 112 .* patch, threshold 2 +[\d.]+\n/);
  assertMatch(
    printed,
    /\nWith rebuilds, against .* the error budget .*\nWith patches, against .*\nWith an adaptive threshold, /,
  );
  assertMatch(printed, /\nsame day 52 weeks ago +[\d.]+ +[\d.]+ +[\d.]+\n/);
  assertMatch(
    printed,
    /\nAn exact board takes [\d.,]+ ms a day, computing it again for each answer [\d.,]+ ms: [\d.,]+ × (less|more) time, and 5\d × less arithmetic\.\n/,
  );
  assertMatch(printed, /\nboard with learned readouts +[\d.]+ +– +–\n/);
  assertMatch(
    printed,
    /With learning the board is off by [\d.]+ births a day, without by [\d.]+ \(1 days ahead\)/,
  );
});

Deno.test("start: help is printed, a wrong option is one line of errors and code 2, and nothing is run", async () => {
  const help = await run("--help");
  assertEquals([help.code, help.errors], [0, ""]);
  for (const name of ["threshold", "error", "days", "backend", "out", "learn-from", "seed", "json", "help"]) {
    assertStringIncludes(help.printed, `--${name}`);
  }
  const wrong = await run("--days", "many");
  assertEquals(wrong, {
    code: 2,
    printed: "",
    errors: 'error: --days is "many", expected a whole number from 1 to 4805\n',
  });
});
