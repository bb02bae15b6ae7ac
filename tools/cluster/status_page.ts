// The page of `deno task cluster`: hosts, partitions, latencies, and what happened, renewed each second;
// /metrics has the same for Prometheus, /status as JSON.

import type { ClusterMemory } from "../../src/cluster/mod.ts";
import { quantile } from "../../src/cluster/cluster_status.ts";
import { escapeHtml } from "../../src/display/escape.ts";

/** What happened lately, the newest last. */
export interface Events {
  readonly lines: readonly string[];
}

/** Serves the page on loopback; its address is in what comes back. */
export function servePage(
  memory: ClusterMemory,
  events: Events,
  port: number,
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/metrics") {
      return new Response(memory.metrics(), { headers: { "content-type": "text/plain" } });
    }
    if (pathname === "/status") {
      const { readMs, ...status } = memory.status();
      return Response.json({
        ...status,
        readMs: { p50: quantile(readMs, 0.5), p99: quantile(readMs, 0.99) },
      });
    }
    if (pathname !== "/") return new Response("not found", { status: 404 });
    return new Response(pageOf(memory, events), { headers: { "content-type": "text/html; charset=utf-8" } });
  });
}

function pageOf(memory: ClusterMemory, { lines }: Events): string {
  const status = memory.status(), ms = (share: number) => quantile(status.readMs, share).toFixed(1);
  const rows = status.partitions.map(({ partition, ready, others, sequence, keys, bytes, isCurrent }) =>
    `<tr><td>${partition}</td><td>${escapeHtml(ready.join(", ") || "none")}</td>` +
    `<td>${escapeHtml(others.join(", "))}</td><td>${sequence}</td><td>${
      isCurrent ? "current" : "behind"
    }</td>` +
    `<td>${keys}</td><td>${(bytes / 2 ** 20).toFixed(1)}</td></tr>`
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta http-equiv="refresh" content="1"><title>Cluster</title>
<style>
body { font: 16px system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 0.2rem 0.8rem; border-bottom: 1px solid #ccc; }
</style>
</head>
<body>
<h1>Cluster ${escapeHtml(status.cluster)}</h1>
<p>${escapeHtml(status.log)}; hosts ${escapeHtml(status.hosts.join(", ") || "none")}</p>
<p>${status.reads} reads: median ${ms(0.5)} ms, 99th percentile ${ms(0.99)} ms; ${status.edits} edits;
${status.requests} requests, ${status.hedges} hedged, ${status.failures} failed; ${status.unackedBytes} bytes wait for the log.</p>
<table>
<thead><tr><th>partition</th><th>hosts</th><th>catching up</th><th>record</th><th>lag</th><th>keys</th><th>MiB</th></tr></thead>
<tbody>${rows.join("\n")}</tbody>
</table>
<h2>What happened</h2>
<pre>${escapeHtml(lines.slice(-20).join("\n"))}</pre>
</body>
</html>
`;
}
