import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claim, holder } from "../../src/experiments/claim.js";

let claims: string;
beforeEach(() => {
  claims = join(mkdtempSync(join(tmpdir(), "easting-claim-")), "claims");
});
afterEach(() => rmSync(join(claims, ".."), { recursive: true, force: true }));

const lease = { milliseconds: 10_000, heartbeat: 20 };

/** What a process of another machine leaves behind. */
function foreignClaim(number: number, secondsAgo: number): void {
  const folder = join(claims, String(number));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "heartbeat.json");
  writeFileSync(path, JSON.stringify({ machine: "elsewhere", pid: 1 }));
  const at = Date.now() / 1000 - secondsAgo;
  utimesSync(path, at, at);
}

describe("a claim", () => {
  it("is had by one at a time", async () => {
    const first = await claim(claims, lease);
    expect(first).not.toBeNull();
    expect(await claim(claims, lease)).toBeNull();
    expect(await holder(claims, lease.milliseconds)).toMatchObject({ pid: process.pid });
    await first?.release();
    expect(await holder(claims, lease.milliseconds)).toBeNull();
    const second = await claim(claims, lease);
    expect(second).not.toBeNull();
    await second?.release();
  });

  it("goes to exactly one of many who ask at once, also where it is taken over", async () => {
    foreignClaim(1, 3600);
    const asked = await Promise.all(Array.from({ length: 20 }, () => claim(claims, lease)));
    const had = asked.filter((one) => one !== null);
    expect(had).toHaveLength(1);
    expect(readdirSync(claims).sort()).toEqual(["1", "2"]);
    await had[0].release();
  });

  it("of another machine counts for as long as its heart beats", async () => {
    foreignClaim(1, 5);
    expect(await claim(claims, lease)).toBeNull();
    foreignClaim(1, 11);
    const taken = await claim(claims, lease);
    expect(taken).not.toBeNull();
    await taken?.release();
  });

  it("of a process of this machine is dead as soon as the process is", async () => {
    const own = await claim(claims, lease);
    const { machine } = (await holder(claims)) as { machine: string };
    await own?.release();
    mkdirSync(join(claims, "2"));
    writeFileSync(join(claims, "2", "heartbeat.json"), JSON.stringify({ machine, pid: 0x3fffffff }));
    expect(await holder(claims)).toBeNull();
  });

  it("that was made and never written to runs out as well", async () => {
    mkdirSync(join(claims, "1"), { recursive: true });
    expect(await holder(claims, 10_000)).toMatchObject({ machine: "unknown" });
    const past = Date.now() / 1000 - 11;
    utimesSync(join(claims, "1"), past, past);
    expect(await holder(claims, 10_000)).toBeNull();
  });

  it("tells its holder that it was taken over", async () => {
    const own = await claim(claims, lease);
    mkdirSync(join(claims, "2"));
    for (let i = 0; i < 100 && !own?.lost.aborted; i++) await sleep(20);
    expect(own?.lost.aborted).toBe(true);
    await own?.release();
  });
});
