// Full suite: it drives a browser.
//
// The playground in a real browser, from a file: it is moved by mouse, finger and keys and shows the numbers of the engine in
// this Deno, its bounds hold, its address holds it, and it asks for nothing.

import type { Browser, Page } from "playwright-core";
import { DynamicAttention } from "../../mod.ts";
import { BROWSER_SWITCHES } from "../../studies/browser.ts";
import { HEADS, keyRow, queryRow, valueRow } from "../../playground/rows.ts";
import { ASKERS, type Buoy, firstBuoy, type Place } from "../../playground/sea.ts";
import { FIRST_VIEW, fromHash } from "../../playground/view_state.ts";
import { buildSite } from "../../tools/site/build.ts";
import { assert, assertAlmostEquals, assertEquals, assertGreater } from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage, readUntil } from "../../testing/pages.ts";
import { requires } from "../../testing/requirements.ts";
import { ConsumerProject } from "../consumers/project.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";

/** float32 sums of the browser and of this Deno, of degrees. */
const CLOSE = 1e-5;
/** An address is written some time after what it says. */
const ADDRESS_MS = 400;

/** A page that is watched: whatever it asks for or complains about is kept. */
interface Watched {
  readonly page: Page;
  readonly complaints: string[];
  readonly requests: string[];
}

/** A sea in which a hand finds every key. */
const SMALL = "#power=5", SMALL_COUNT = 2 ** 5;

let built: Promise<Uint8Array> | null = null;

/** Opens the page from a file, with an address of its own, until it is ready. */
async function withPage(
  use: (watched: Watched) => Promise<void>,
  hash = SMALL,
  options: Parameters<Browser["newPage"]>[0] = {},
  switches: readonly string[] = BROWSER_SWITCHES,
): Promise<void> {
  built ??= buildSite().then((files) => files.get("index.html")!);
  const file = await Deno.makeTempFile({ suffix: ".html" });
  try {
    await Deno.writeFile(file, await built);
    await using browser = await openBrowser(switches);
    // Without an address the page moves by itself, unless its reader wants little motion.
    const reducedMotion = hash === "" ? "reduce" : "no-preference";
    const page = await openPage(browser, {
      viewport: { width: 1280, height: 1000 },
      reducedMotion,
      ...options,
    });
    const watched: Watched = { page, complaints: [], requests: [] };
    page.on("console", (message) => watched.complaints.push(message.text()));
    page.on("pageerror", (error) => watched.complaints.push(error.message));
    page.on("request", (request) => watched.requests.push(request.url()));
    await page.goto(`file://${file}${hash}`);
    await page.locator("[data-playground=ready]").waitFor();
    await use(watched);
  } finally {
    await Deno.remove(file);
  }
}

/** Nothing was said on the console and nothing asked for but the page itself. */
function assertQuiet({ complaints, requests }: Watched): void {
  assertEquals(complaints, []);
  assertEquals(requests.filter((url) => !url.startsWith("data:")).length, 1, String(requests));
}

/** What the page says in full. */
async function numberIn(page: Page, name: string): Promise<number> {
  return Number(await page.locator(`data[data-name="${name}"]`).getAttribute("value"));
}

/** Waits until something is so; fails by what it was last. */
async function becomes<T>(
  read: () => Promise<T>,
  isSo: (last: T) => boolean,
  what: string,
  patienceMs?: number,
): Promise<T> {
  const last = await readUntil(read, isSo, patienceMs);
  assert(isSo(last), `${what}: it was ${last} at last`);
  return last;
}

/** Waits until so many edits have been done, and what the page says is of them. */
function edits(page: Page, count: number): Promise<string | null> {
  const rows = page.locator("#numbers tbody tr").nth(5).locator("th");
  const all = (text: string | null) => {
    return text?.endsWith("in all") ? 1 : Number(/all ([\d,]+)/.exec(text ?? "")?.[1].replaceAll(",", ""));
  };
  return becomes(() => rows.textContent(), (text) => all(text) >= count, `${count} edits`);
}

/** The rule of the first view. */
const RULE = { heads: HEADS, scale: 1, softcap: 0 };

/** What the engine in this Deno says of a sea. */
async function engineSays(
  buoys: readonly Buoy[],
  query: number,
  head = 0,
  rule = RULE,
  queries: readonly Place[] = ASKERS,
): Promise<{ answer: number; row: Float32Array; weights: Float32Array }> {
  await using live = await DynamicAttention.create({
    query: queries.map(queryRow),
    key: buoys.map(keyRow),
    value: buoys.map(valueRow),
    ...rule,
    backend: "wasm",
  });
  const row = (await live.read([query])).data;
  return { answer: row[head], row, weights: await live.weights(query, { head }) };
}

function seaOfCount(count: number): Buoy[] {
  return Array.from({ length: count }, (_, slot) => firstBuoy(slot));
}

const SMALL_SEA = seaOfCount(SMALL_COUNT);

/** The view that the address holds once it is written, and does not change any more. */
async function viewIn(page: Page, isSo: (hash: string) => boolean) {
  const read = () => page.evaluate<string>("location.hash");
  let before = "not read yet";
  const hash = await becomes(
    async () => {
      const now = await read();
      await new Promise((resolve) => setTimeout(resolve, ADDRESS_MS));
      const [last, later] = [before, await read()];
      before = later;
      return now === later && later === last ? now : "moving";
    },
    (hash) => hash !== "moving" && isSo(hash),
    "the address",
  );
  const { state, complaints } = fromHash(hash);
  assertEquals(complaints, []);
  return state;
}

/** The small sea with what a view has changed in it. */
function seaOf({ changes }: { changes: ReadonlyMap<number, Buoy | null> }): Buoy[] {
  return SMALL_SEA.map((buoy, slot) => changes.get(slot) ?? buoy);
}

/** The page says of a sea what this Deno says, and its bound holds. */
async function expectShown(page: Page, sea: readonly Buoy[], staleSea: readonly Buoy[]): Promise<void> {
  const exact = await engineSays(sea, FIRST_VIEW.query), stale = await engineSays(staleSea, FIRST_VIEW.query);
  const distance = Math.hypot(...exact.row.map((number, at) => number - stale.row[at]));
  assertAlmostEquals(await numberIn(page, "exact"), exact.answer, CLOSE);
  assertAlmostEquals(await numberIn(page, "stale"), stale.answer, CLOSE);
  assertAlmostEquals(await numberIn(page, "distance"), distance, 2 * CLOSE);
  assertGreater(await numberIn(page, "distance"), 0);
  assert(await numberIn(page, "bound") >= await numberIn(page, "distance"));
}

/** The middle of a button. */
async function middleOf(page: Page, handle: string): Promise<{ x: number; y: number }> {
  const box = (await page.locator(`[data-handle=${handle}]`).boundingBox())!;
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

Deno.test({
  name: "playground page: opens from a file, says nothing, asks for nothing, and shows the engine's numbers",
  ...needsBrowser,
  fn: () =>
    withPage(async (watched) => {
      const { page } = watched;
      const { answer, weights } = await engineSays(seaOfCount(2 ** FIRST_VIEW.power), FIRST_VIEW.query);
      assertAlmostEquals(await numberIn(page, "exact"), answer, CLOSE);
      assertAlmostEquals(await numberIn(page, "weight"), weights[FIRST_VIEW.slot], CLOSE);
      assert(
        (await page.locator("#where").textContent())?.startsWith(
          "wasm: a rebuild takes 655,360 multiply-adds",
        ),
      );
      await page.locator(".gallery img").last().waitFor();
      const broken =
        "[...document.images].filter((image) => !image.complete || image.naturalWidth < 100).length";
      assertEquals(await page.evaluate(`document.images.length > 4 ? ${broken} : -1`), 0);
      assertEquals(await page.evaluate("location.hash"), "");
      assertEquals(await page.locator("#alert").isVisible(), false);
      // A page that could ask for something is told no by its policy.
      assertEquals(
        await page.evaluate(`fetch("https://example.org/").then(() => "answered", () => "refused")`),
        "refused",
      );
      assertEquals(
        watched.complaints.splice(0).every((text) => /Content Security Policy|Refused to connect/.test(text)),
        true,
      );
      assertQuiet(watched);
    }, ""),
});

Deno.test({
  name:
    "playground page: a key dragged with the mouse changes attention as the engine says, within its bound",
  ...needsBrowser,
  fn: () =>
    withPage(async (watched) => {
      const { page } = watched;
      const from = await middleOf(page, "k5");
      await page.mouse.move(from.x, from.y);
      await page.mouse.down();
      await page.mouse.move(from.x + 30, from.y - 40, { steps: 4 });
      await page.mouse.move(from.x + 60, from.y - 25, { steps: 4 });
      await page.mouse.up();
      const view = await viewIn(page, (hash) => hash.includes("keys=5:"));
      assertEquals(view.slot, 5);
      const sea = seaOf(view);
      assertGreater(sea[5].x, SMALL_SEA[5].x + 0.3);
      assertGreater(sea[5].y, SMALL_SEA[5].y + 0.1);
      assertEquals(await numberIn(page, "pending"), 1);
      await expectShown(page, sea, SMALL_SEA);
      const { weights } = await engineSays(sea, FIRST_VIEW.query);
      assertAlmostEquals(await numberIn(page, "weight"), weights[5], CLOSE);
      assertEquals(await page.evaluate("document.activeElement.dataset.handle"), "k5");
      // It is where it was put.
      const to = await middleOf(page, "k5");
      assertAlmostEquals(to.x, from.x + 60, 2);
      assertAlmostEquals(to.y, from.y - 25, 2);
      // A query too: it is brought up to date at once.
      const query = await middleOf(page, "q2");
      await page.mouse.move(query.x, query.y);
      await page.mouse.down();
      await page.mouse.move(query.x - 80, query.y + 30, { steps: 3 });
      await page.mouse.up();
      const moved = await viewIn(page, (hash) => hash.includes("queries="));
      const { answer } = await engineSays(sea, 2, 0, RULE, moved.queries);
      await becomes(() => numberIn(page, "exact"), (shown) =>
        Math.abs(shown - answer) < CLOSE, "the query's answer");
      assertQuiet(watched);
    }),
});

Deno.test({
  name: "playground page: keys move, warm and delete; a double click puts a key out",
  ...needsBrowser,
  fn: () =>
    withPage(async (watched) => {
      const { page } = watched;
      await page.locator("[data-handle=k17]").focus();
      for (let press = 0; press < 3; press++) await page.keyboard.press("ArrowRight");
      await page.keyboard.press("Shift+ArrowUp");
      await page.keyboard.press("+");
      const view = await viewIn(page, (hash) => hash.includes("keys=17:"));
      const { x, y, temperature } = SMALL_SEA[17];
      const sea = SMALL_SEA.with(17, view.changes.get(17)!);
      assertAlmostEquals(sea[17].x, x + 0.3, 0.006);
      assertAlmostEquals(sea[17].y, y + 0.5, 0.006);
      assertAlmostEquals(sea[17].temperature, temperature + 0.5, 0.051);
      await expectShown(page, sea, SMALL_SEA);
      assert((await page.locator("[data-handle=k17]").getAttribute("aria-label"))?.startsWith("Key 17 at "));
      const status = page.locator("#status");
      await becomes(() => status.textContent(), (text) =>
        /^Key 17 at .* at most .* wait/.test(text ?? ""), "what is said");

      await page.keyboard.press("Delete");
      await becomes(
        () =>
          page.locator("[data-handle=k17]").count(),
        (count) =>
          count === 0,
        "the deleted key",
      );
      const { answer } = await engineSays(sea.filter((_, slot) => slot !== 17), FIRST_VIEW.query);
      await becomes(
        () => numberIn(page, "exact"),
        (shown) => Math.abs(shown - answer) < CLOSE,
        "the answer without it",
      );
      assert(
        await page.evaluate("document.activeElement.dataset.handle?.startsWith('k')"),
        "the focus goes on",
      );

      const plane = (await page.locator(".plane").boundingBox())!;
      await page.mouse.dblclick(plane.x + plane.width * 0.5, plane.y + plane.height * 0.1);
      await becomes(
        () => page.locator("[data-handle=k17]").count(),
        (count) => count === 1,
        "the slot that was free",
      );
      assertEquals(await page.locator("#key-title").textContent(), "Key 17");
      assertQuiet(watched);
    }),
});

Deno.test({
  name: "playground page: a finger drags a key",
  ...needsBrowser,
  fn: () =>
    withPage(
      async (watched) => {
        const { page } = watched;
        const fingers = await page.context().newCDPSession(page);
        const touch = async (kind: "touchStart" | "touchMove" | "touchEnd", x = 0, y = 0) => {
          const touchPoints = kind === "touchEnd" ? [] : [{ x, y }];
          await fingers.send("Input.dispatchTouchEvent", { type: kind, touchPoints });
        };
        await page.locator(".plane").scrollIntoViewIfNeeded();
        const { x, y } = await middleOf(page, "k17");
        await touch("touchStart", x, y);
        for (let step = 1; step <= 5; step++) await touch("touchMove", x + 4 * step, y + 3 * step);
        await touch("touchEnd");
        const view = await viewIn(page, (hash) => hash.includes("keys=17:"));
        assertGreater(view.changes.get(17)!.x, SMALL_SEA[17].x + 0.2);
        await expectShown(page, seaOf(view), SMALL_SEA);
        assertQuiet(watched);
      },
      SMALL,
      { hasTouch: true, viewport: { width: 390, height: 800 } },
    ),
});

Deno.test({
  name:
    "playground page: a chosen key that is deleted leaves neither a frame on the map nor a weight below it",
  ...needsBrowser,
  fn: () =>
    withPage(async (watched) => {
      const { page } = watched;
      // The frame around the chosen key's column, in the orange of the light palette.
      const framed = async () =>
        Number(
          await page.evaluate(`(() => {
            const canvas = document.querySelector("#map canvas");
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let at = 0; at < data.length; at += 4) {
              if (data[at] === 0xd5 && data[at + 1] === 0x5e && data[at + 2] === 0) count++;
            }
            return count;
          })()`),
        );
      await becomes(framed, (count) => count > 0, "the frame of the chosen key");
      await page.getByRole("button", { name: "Delete it" }).click();
      await becomes(() => page.locator("#key-title").textContent(), (text) =>
        text === "No key is chosen", "the title");
      await becomes(framed, (count) =>
        count === 0, "the frame of a key that is not there");
      assertEquals(await page.locator("#readout").textContent(), "");
      assertQuiet(watched);
    }, SMALL),
});

Deno.test({
  name: "playground page: sliders and pickers move what the engine says",
  ...needsBrowser,
  fn: () =>
    withPage(async (watched) => {
      const { page } = watched;
      const slide = (name: string, value: number) => page.locator(`input[name="${name}"]`).fill(`${value}`);
      const expectAnswer = async (sea: readonly Buoy[], head: number, rule = RULE) => {
        const { answer } = await engineSays(sea, FIRST_VIEW.query, head, rule);
        await becomes(
          () => numberIn(page, "exact"),
          (shown) => Math.abs(shown - answer) < CLOSE,
          "the answer",
        );
      };
      await slide("its temperature", 28);
      const sea = SMALL_SEA.with(FIRST_VIEW.slot, { ...SMALL_SEA[FIRST_VIEW.slot], temperature: 28 });
      await expectAnswer(sea, 0);
      assertEquals(await numberIn(page, "pending"), 1);
      await slide("edits that may wait", 0);
      await becomes(() => numberIn(page, "pending"), (pending) => pending === 0, "what waits");
      assertEquals(await numberIn(page, "distance"), 0);
      await page.locator('select[name="head"]').selectOption("1");
      await expectAnswer(sea, 1);
      await slide("scale", -1);
      await expectAnswer(sea, 1, { ...RULE, scale: 0.5 });
      await slide("softcap", 2);
      await expectAnswer(sea, 1, { ...RULE, scale: 0.5, softcap: 2 });
      await page.locator('select[name="computes on"]').selectOption("2");
      await becomes(
        () => page.locator("#where").textContent(),
        (text) => text!.startsWith("array: asked"),
        "where",
      );
      await expectAnswer(sea, 1, { ...RULE, scale: 0.5, softcap: 2 });
      await slide("keys", 10);
      await becomes(
        () => page.locator("#drawn").textContent(),
        (text) => text!.startsWith("400 of 1,024 keys"),
        "n",
      );
      await page.getByRole("button", { name: "Start anew" }).click();
      await expectAnswer(seaOfCount(2 ** FIRST_VIEW.power), 0);
      await viewIn(page, (hash) => hash === "");
      // The map is picked with the pointer.
      const map = (await page.locator("canvas.map").boundingBox())!;
      await page.locator("canvas.map").click({ position: { x: map.width - 20, y: 40 } });
      assertEquals((await viewIn(page, (hash) => hash.includes("slot="))).slot, 23);
      assertQuiet(watched);
    }),
});

Deno.test({
  name: "playground page: an address gives the view again, and says what it says wrongly",
  ...needsBrowser,
  fn: () =>
    withPage(
      async (watched) => {
        const { page } = watched;
        const moved = { x: -1.25, y: -0.9, temperature: 25.5 };
        const sea = SMALL_SEA.with(2, moved).filter((_, slot) => slot !== 4);
        const { answer } = await engineSays(sea, 1, 0, { ...RULE, scale: 2 });
        assertAlmostEquals(await numberIn(page, "exact"), answer, CLOSE);
        assertEquals(await page.locator("#key-title").textContent(), "Key 2");
        assertEquals(await page.locator("[data-handle=k4]").count(), 0);
        assertEquals(await page.locator('input[name="scale"]').inputValue(), "1");
        const shown = await page.locator("#numbers tbody").textContent();
        await page.evaluate("location.reload()");
        await page.locator("[data-playground=ready]").waitFor();
        assertEquals(await page.locator("#numbers tbody").textContent(), shown);
        await page.evaluate("location.hash = '#power=3&slot=5'");
        const said = 'InputError: address: power is "3", expected an integer from 4 to 16';
        await becomes(() => page.locator("#alert").textContent(), (text) => text === said, "what is refused");
        assertEquals(await page.locator("#key-title").textContent(), "Key 5");
        assertEquals(watched.complaints, []);
      },
      "#power=5&scalePower=1&slot=2&keys=2:-1.25,-0.9,25.5_4:gone",
    ),
});

Deno.test({
  name: "playground page: a current of many keys moves cost and staleness, and no bound is broken",
  ...needsBrowser,
  fn: () =>
    withPage(
      async (watched) => {
        const { page } = watched;
        await page.locator('input[name="edits per step"]').fill("5");
        await page.locator("#stream").click();
        let wasStale = false;
        for (const count of [32, 64, 96, 128, 320, 640]) {
          await edits(page, count);
          // All at once, since the next step comes soon.
          const [bound, distance] = await page.evaluate<[number, number]>(
            `["bound", "distance"].map((name) => Number(document.querySelector('[data-name="' + name + '"]').value))`,
          );
          assert(distance <= bound, `${distance} is beyond ${bound}`);
          wasStale ||= distance > 0;
        }
        assert(wasStale);
        await page.locator("#stream").click();
        // A step is 32 edits, and computing again is charged once for it.
        assertGreater(await numberIn(page, "total-scratch"), 20 * await numberIn(page, "total-exact"));
        assertGreater(await numberIn(page, "total-exact"), 0);
        // Which of the two is faster at this size depends on what else the machine does.
        const told = await page.locator("#tile-cost").textContent();
        assert(
          told?.includes("is what 32 edits and an exact answer take here; computing the answer again takes"),
        );
        assertQuiet(watched);
      },
      "#power=12&threshold=256",
    ),
});

Deno.test({
  name:
    "playground page: it moves by itself until the visitor does something, and its address tells nothing of that",
  ...needsBrowser,
  fn: () =>
    withPage(
      async (watched) => {
        const { page } = watched;
        await edits(page, 20);
        assertEquals(await page.locator("#stream").getAttribute("aria-pressed"), "true");
        await becomes(
          () => page.locator("#frames").textContent(),
          (text) => /^16,384 keys, [1-9]\d* frames a second$/.test(text ?? ""),
          "frames a second",
        );
        assertEquals(await page.evaluate("location.hash"), "");
        // The sea of the beginning is one in which keeping answers current wins, on any machine.
        await becomes(() => page.locator("#tile-cost").textContent(), (text) =>
          /computing the answer again takes .*, [\d.,]+ × as long/.test(text!), "the race");
        await becomes(
          () =>
            page.evaluate<number[]>(
              `["exact", "again"].map((kind) => parseFloat(document.querySelector(".bar." + kind).style.inlineSize))`,
            ),
          ([exact, again]) =>
            exact < again,
          "the bars of the race",
        );
        await page.locator("h1").click();
        await becomes(() =>
          page.locator("#stream").getAttribute("aria-pressed"), (is) =>
          is === "false", "the current");
        // The switch of a page that moves by itself stops it.
        await page.evaluate("location.reload()");
        await page.locator("[data-playground=ready]").waitFor();
        await edits(page, 2);
        await page.locator("#stream").click();
        await becomes(() =>
          page.locator("#stream").getAttribute("aria-pressed"), (is) =>
          is === "false", "the current");
        assertEquals(watched.complaints, []);
      },
      "",
      { reducedMotion: "no-preference" },
    ),
});

Deno.test({
  name: "playground page: the largest sea drifts at one click, and exact answers win the race",
  ...needsBrowser,
  fn: () =>
    withPage(
      async (watched) => {
        const { page } = watched;
        await page.getByRole("button", { name: "65,536 keys" }).click();
        await becomes(
          () => page.locator("#frames").textContent(),
          (text) => /^65,536 keys/.test(text ?? ""),
          "the sea",
        );
        await edits(page, 640);
        await page.locator("#stream").click();
        const bars = await page.locator(".runner b").allTextContents();
        assertEquals(bars.length, 3);
        assertGreater(await numberIn(page, "total-scratch"), 50 * await numberIn(page, "total-exact"));
        assertQuiet(watched);
      },
      "",
      { reducedMotion: "no-preference" },
    ),
});

Deno.test({
  name: "playground page: the code of a view runs as it stands, and prints what the page shows",
  ...needsBrowser,
  fn: () =>
    withPage(
      async (watched) => {
        const { page } = watched;
        await page.locator("#code summary").click();
        await becomes(() => page.locator("#code-text").textContent(), (text) => text !== "", "the code");
        await using project = await ConsumerProject.create({
          "program.js": (await page.locator("#code-text").textContent())!,
        });
        const { code, stdout, stderr } = await project.deno("run", "--quiet", "program.js");
        assertEquals([code, stderr], [0, ""]);
        assertEquals(stdout.split("\n")[0], (await numberIn(page, "exact")).toFixed(2));
        assertEquals(watched.complaints, []);
      },
      "#power=5&scalePower=1&softcap=5&query=2&keys=2:-1.25,-0.9,25.5_4:gone",
    ),
});

Deno.test({
  name: "playground page: a backend that is not there is refused in the library's words, and nothing is lost",
  ...needsBrowser,
  fn: () =>
    withPage(async (watched) => {
      const { page } = watched;
      await page.locator("[data-handle=k5]").focus();
      await page.keyboard.press("ArrowLeft");
      await edits(page, 1);
      const before = await numberIn(page, "exact");
      await page.evaluate("Object.defineProperty(navigator, 'gpu', { value: undefined })");
      await page.locator('select[name="computes on"]').selectOption("3");
      const said =
        'InputError: DynamicAttention.moveTo: backend is "webgpu", but no graphics adapter was found';
      await becomes(() => page.locator("#alert").textContent(), (text) =>
        text!.startsWith(said), "what is refused");
      assertEquals(await page.locator('select[name="computes on"]').inputValue(), "0");
      assertEquals([await numberIn(page, "exact"), await numberIn(page, "pending")], [before, 1]);
      await page.keyboard.press("Tab");
      await page.locator("[data-handle=k5]").focus();
      await page.keyboard.press("ArrowLeft");
      await becomes(() =>
        page.locator("#alert").isVisible(), (isVisible) =>
        !isVisible, "it goes with the next edit");
      assertQuiet(watched);
    }),
});

/** A program that stands in for a graphics device takes long to compile the others. */
const COMPILING_MS = 180_000;

/** With the graphics device that Chromium has in itself, a program. */
const DEVICE_SWITCHES = BROWSER_SWITCHES.filter((name) => name !== "--disable-gpu").concat(
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
);

Deno.test({
  name: "playground page: computes by WebGPU where there is an adapter",
  ...needsBrowser,
  fn: () =>
    withPage(
      async (watched) => {
        const { page } = watched;
        const find = "navigator.gpu?.requestAdapter().then((adapter) => adapter ? 'found' : undefined)";
        const found = await page.evaluate<string | undefined>(find);
        if (requires("WebGPU in chromium", found, "apt-get install chromium").ignore) return;
        await page.locator('select[name="computes on"]').selectOption("3");
        await becomes(
          () => page.locator("#where").textContent(),
          (text) => text!.startsWith("webgpu: asked for by name"),
          "where",
          COMPILING_MS,
        );
        await page.locator("[data-handle=k5]").focus();
        await page.keyboard.press("Shift+ArrowUp");
        const view = await viewIn(page, (hash) => hash.includes("keys=5:"));
        assertEquals(view.backend, "webgpu");
        await expectShown(page, seaOf(view), SMALL_SEA);
        assertQuiet(watched);
      },
      SMALL,
      {},
      DEVICE_SWITCHES,
    ),
});

for (
  const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 390], ["dark", 390]] as const
) {
  Deno.test({
    name: `playground page: ${colorScheme}, ${width} pixels wide, for readers who want little motion`,
    ...needsBrowser,
    fn: () =>
      withPage(
        async (watched) => {
          const { page } = watched;
          const costs = page.locator('data[data-name="total-exact"]');
          assertEquals(await costs.count(), 0, "nothing has been edited, so that nothing has a cost");
          await page.locator("#stream").click();
          await edits(page, 4);
          await page.locator("#stream").click();
          assertEquals(await costs.count(), 1);
          assertEquals(await page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0);
          const background = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
          assertEquals(background === "rgb(255, 255, 255)", colorScheme === "light");
          const shown = await page.evaluate<string>("document.images[0].currentSrc");
          const svg = new TextDecoder().decode(Uint8Array.fromBase64(shown.split(",")[1]));
          assertEquals(svg.includes("#e4e8ec"), colorScheme === "dark");
          await keepScreenshot(page, `playground-${colorScheme}-${width}`);
          assertQuiet(watched);
        },
        "#keys=17:-1.9,-0.7,9.3_21:-0.2,-2.1,20_5:0.1,-0.4,11",
        { colorScheme, viewport: { width, height: 900 }, reducedMotion: "reduce" },
      ),
  });
}
