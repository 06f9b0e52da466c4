export { svg } from "./svg.js";
