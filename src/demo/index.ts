export { type DemoOptions, demoPage } from "./demo-page.js";
