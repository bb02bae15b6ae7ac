// Text and data stay text and data in a page.

import { embedJson, embedScript, escapeHtml } from "../../src/display/escape.ts";
import { assertEquals, assertFalse } from "../../testing/assert.ts";

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
