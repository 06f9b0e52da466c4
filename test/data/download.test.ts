import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { downloadCifar, openCifar } from "../../src/data/cifar.js";
import { cifar10 } from "../../src/data/cifar-source.js";
import { download } from "../../src/data/download.js";
import { tarGz, temporaryFolder, tinyCifar10 } from "./fixtures.js";

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const content = randomBytes(300_000);
const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => void close()));

/** A server on this machine; `requests` lists the Range headers it saw. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const requests: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    requests.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`, requests };
}

/** Answers ranges, and breaks the connection after `limit` bytes of each answer. */
const flaky = (bytes: Buffer, limit: number) => (request: IncomingMessage, response: ServerResponse) => {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, { "content-length": bytes.length - from });
  const part = bytes.subarray(from, from + limit);
  if (from + limit >= bytes.length) response.end(part);
  else response.write(part, () => setTimeout(() => response.destroy(), 20));
};

const remote = (url: string, bytes = content) => ({ url, bytes: bytes.length, sha256: sha256(bytes) });

describe("download", () => {
  test("goes on where a broken connection stopped", async () => {
    const server = await serve(flaky(content, 120_000));
    const path = join(temporaryFolder(), "deep", "file.bin");
    const seen: number[] = [];
    await download(remote(server.url), path, { onProgress: ({ done }) => seen.push(done) });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(server.requests).toEqual([undefined, "bytes=120000-", "bytes=240000-"]);
    expect(seen.at(-1)).toBe(300_000);
    expect(existsSync(`${path}.part`)).toBe(false);
  });

  test("goes on from a part that an earlier run left", async () => {
    const server = await serve(flaky(content, content.length));
    const path = join(temporaryFolder(), "file.bin");
    writeFileSync(`${path}.part`, content.subarray(0, 1000));
    await download(remote(server.url), path);
    expect(server.requests).toEqual(["bytes=1000-"]);
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  test("starts over where the server knows no ranges", async () => {
    const server = await serve((_, response) => response.end(content));
    const path = join(temporaryFolder(), "file.bin");
    writeFileSync(`${path}.part`, "something else");
    await download(remote(server.url), path);
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  test("discards a file with a wrong checksum", async () => {
    const altered = Buffer.from(content);
    altered[7] ^= 1;
    const server = await serve(flaky(altered, altered.length));
    const path = join(temporaryFolder(), "file.bin");
    await expect(download(remote(server.url), path)).rejects.toThrow(
      `data: expected SHA-256 ${sha256(content)} of ${server.url}, got ${sha256(altered)}; the download was discarded`,
    );
    expect(existsSync(path) || existsSync(`${path}.part`)).toBe(false);
  });

  test("refuses a file that is too long, and ends", async () => {
    const server = await serve((_, response) => response.end(Buffer.concat([content, content])));
    const path = join(temporaryFolder(), "file.bin");
    await expect(download(remote(server.url), path)).rejects.toThrow("more than the 300000 bytes expected");
  });

  test("says in one sentence what to do by hand when there is no connection", async () => {
    const folder = temporaryFolder();
    const url = "http://127.0.0.1:1/file";
    await expect(download(remote(url), join(folder, "file.bin"))).rejects.toThrow(
      `download that file by hand and put it in ${folder}`,
    );
    const missing = await serve((_, response) => response.writeHead(404).end());
    await expect(download(remote(missing.url), join(folder, "file.bin"))).rejects.toThrow("(HTTP status 404)");
  });

  test("gives up on a silent connection and stops when told to", async () => {
    const server = await serve(() => {});
    const path = join(temporaryFolder(), "file.bin");
    await expect(download(remote(server.url), path, { silence: 50 })).rejects.toThrow("no data for 0.05 s");
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("stopped")), 50);
    await expect(download(remote(server.url), path, { signal: stop.signal })).rejects.toThrow("stopped");
  });
});

describe("the archive of CIFAR-10", () => {
  const files = Object.fromEntries(
    Object.entries(tinyCifar10()).map(([name, bytes]) => [`cifar-10-batches-bin/${name}`, bytes]),
  );
  const archive = tarGz({ "cifar-10-batches-bin/readme.html": Buffer.from("hello"), ...files });

  test("is downloaded, checked, unpacked and opened", async () => {
    const server = await serve(flaky(archive, 500));
    const folder = temporaryFolder();
    const source = { ...cifar10, url: server.url, archiveBytes: archive.length, archiveSha256: sha256(archive) };
    const stages = new Set<string>();
    await downloadCifar("cifar10", folder, { source, onProgress: ({ stage }) => stages.add(stage) });
    expect([...stages]).toEqual(["download", "unpack"]);
    expect(existsSync(join(folder, "cifar-10-batches-bin", "readme.html"))).toBe(false);
    expect((await openCifar("cifar10", folder, { verify: false })).train.count).toBe(9);
  });

  test("put there by hand with other bytes is named", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "cifar-10-binary.tar.gz"), archive);
    await expect(openCifar("cifar10", folder)).rejects.toThrow(
      `of ${join(folder, "cifar-10-binary.tar.gz")}, got ${sha256(archive)}; remove it and download`,
    );
  });
});
