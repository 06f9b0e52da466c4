/// <reference lib="dom" />
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { beforeAll, describe, expect, it, type TestContext } from "vitest";
import { compile, encodeModel, type Graph, interpret } from "../../src/compile/index.js";
import { easting, temporaryFolder } from "../cli/easting.js";
import { classNames, imageInput, randomNetwork } from "../compile/networks.js";
import { expectClose, uniform } from "../numbers.js";
import { launchChromium } from "./chromium.js";

const folder = temporaryFolder();
const side = 32;
const [model, html, red] = ["net.easting", "demo.html", "red.png"].map((name) => join(folder, name));
let graph: Graph;

beforeAll(async () => {
  const network = randomNetwork({ model: "resnet20", mask: "live", count: 3000, side, seed: 3 });
  graph = compile(network, imageInput(side), ["<b>zebra</b>", ...classNames(10).slice(1)]).graph;
  network.dispose();
  writeFileSync(model, encodeModel(graph));
  await sharp({ create: { width: 60, height: 40, channels: 3, background: "#ff4020" } }).toFile(red);
  const made = easting("demo", model, "--title", 'A <net> & "more"', "--pictures", red, "-o", html);
  expect(made).toMatchObject({ status: 0, stderr: "" });
});

/** Lets `use` do something with the page; returns requests that the page made and complaints of the browser. */
async function inPage(context: TestContext, use: (page: Page) => Promise<void>): Promise<string[]> {
  const browser = await launchChromium(context);
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
    const faults: string[] = [];
    page.on("pageerror", ({ message }) => faults.push(message));
    page.on("console", (message) => faults.push(message.text()));
    page.on("request", (request) => {
      if (request.url() !== pathToFileURL(html).href && !request.url().startsWith("data:")) faults.push(request.url());
    });
    await page.goto(pathToFileURL(html).href);
    await page.waitForFunction(() => "easting" in globalThis);
    await use(page);
    return faults;
  } finally {
    await browser.close();
  }
}

type InPage = { easting: { classify(pixels: Float32Array): Float32Array } };

/** Name of the class with the largest logit of an image of one colour. */
function answerTo(red: number, green: number, blue: number): string {
  const { mean, std } = graph.image;
  const pixels = [red, green, blue].flatMap((value, c) => Array(side * side).fill((value / 255 - mean[c]) / std[c]));
  const logits = interpret(graph, pixels);
  return graph.classes[logits.indexOf(Math.max(...logits))];
}

describe("the demo page in Chromium", () => {
  it("gives the interpreter's logits, and asks for nothing but itself", async (context) => {
    const faults = await inPage(context, async (page) => {
      for (const seed of [1, 2]) {
        const pixels = [...uniform(seed, 3 * side * side)].map((u) => Math.fround(4 * u - 2));
        const logits = await page.evaluate(
          (values) => [...(globalThis as unknown as InPage).easting.classify(Float32Array.from(values))],
          pixels,
        );
        expectClose(logits, interpret(graph, pixels), { relative: 1e-5 });
      }
    });
    expect(faults).toEqual([]);
  });

  it("may not ask for anything else", async (context) => {
    const faults = await inPage(context, async (page) => {
      const answer = await page.evaluate(() => fetch("http://127.0.0.1:9/").catch(({ message }) => message));
      expect(answer).toBe("Failed to fetch");
    });
    expect(faults.join("\n")).toContain("Content Security Policy");
  });

  it("classifies its first picture at once, and then the one that is opened", async (context) => {
    const faults = await inPage(context, async (page) => {
      const first = page.locator("#classes .first .name");
      await first.waitFor();
      expect(await first.textContent()).toBe(answerTo(255, 64, 32));
      expect(await page.locator("#announcement").textContent()).toMatch(/^.+, \d+ %$/);
      expect(await page.locator("#time").textContent()).toMatch(/^[\d.]+ ms$/);
      const blue = sharp({ create: { width: 900, height: 1200, channels: 3, background: "#1020f0" } });
      const file = { name: "blue.png", mimeType: "image/png", buffer: await blue.png().toBuffer() };
      await page.locator("#file").setInputFiles(file);
      await expect.poll(() => first.textContent()).toBe(answerTo(16, 32, 240));
      await page.locator("#file").setInputFiles({ ...file, buffer: Buffer.from("no picture") });
      await expect.poll(() => page.locator("#invitation").textContent()).toMatch(/^This file is no picture/);
    });
    expect(faults).toEqual([]);
  });

  it("shows names as text, and the model's size", async (context) => {
    const faults = await inPage(context, async (page) => {
      expect(await page.locator("h1").textContent()).toBe('A <net> & "more"');
      expect(await page.title()).toBe('A <net> & "more"');
      expect(await page.locator("#classes .name").first().textContent()).toBe("<b>zebra</b>");
      expect(await page.locator(".badges li").allTextContents()).toEqual([
        expect.stringMatching(/^\d+(\.\d+)? kB model$/),
        "3,000 connections",
        expect.stringMatching(/^[\d.]+ M multiplications per image$/),
      ]);
    });
    expect(faults).toEqual([]);
  });

  it("can be used by keyboard: every control has a name and is reached by Tab, a class shows its paths by Enter", async (context) => {
    const faults = await inPage(context, async (page) => {
      const reached: string[] = [];
      for (let i = 0; i < 13; i++) {
        await page.keyboard.press("Tab");
        reached.push(
          await page.evaluate(() => {
            const active = document.activeElement as HTMLInputElement;
            return active.labels?.[0]?.innerText || active.innerText || active.querySelector("img")?.alt || "";
          }),
        );
      }
      expect(reached.slice(0, 3)).toEqual(["Photo", "Camera", "red"]);
      expect(reached.slice(3).map((text) => text.split("\n")[0])).toEqual(graph.classes);
      await page.keyboard.press("Enter");
      expect(await page.locator("#classes button").last().getAttribute("aria-pressed")).toBe("true");
      expect(await page.locator('#classes [aria-pressed="true"]').count()).toBe(1);
    });
    expect(faults).toEqual([]);
  });

  it("has text that stands out from its ground by at least 4.5 : 1", async (context) => {
    const faults = await inPage(context, async (page) => {
      const contrasts = await page.evaluate(() => {
        const numbers = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number);
        // Relative luminance and contrast of WCAG 2.
        const luminance = (colour: string) =>
          numbers(colour)
            .slice(0, 3)
            .map((value) => value / 255)
            .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
            .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = (element: Element | null): string => {
          if (!element) return "rgb(255, 255, 255)";
          const { backgroundColor } = getComputedStyle(element);
          return (numbers(backgroundColor)[3] ?? 1) > 0.8 ? backgroundColor : ground(element.parentElement);
        };
        return [...document.body.querySelectorAll("*")]
          .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim()))
          .filter((element) => element.checkVisibility())
          .map((element) => {
            const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
            return { text: element.textContent, ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
          });
      });
      expect(contrasts.length).toBeGreaterThan(20);
      expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
    });
    expect(faults).toEqual([]);
  });
});
