/** A float that reads back as the same f32. */
export const float = (value: number) => {
  const text = Math.fround(value).toPrecision(9);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
};

/** A constant array; one 0 where there is nothing, since C has no empty arrays. */
export function table(type: string, name: string, values: ArrayLike<number>): string {
  const words = values.length > 0 ? Array.from(values, type === "float" ? float : String) : ["0"];
  const lines = [""];
  for (const word of words) {
    if (lines[lines.length - 1].length + word.length > 116) lines.push("");
    lines[lines.length - 1] += `${word},`;
  }
  return `static const ${type} ${name}[] = {\n${lines.map((line) => `  ${line}`).join("\n")}\n};\n`;
}

/** A string; bytes beyond plain ASCII in octal, which ends after three digits whatever follows. */
export const quoted = (text: string) =>
  `"${Array.from(new TextEncoder().encode(text), (byte) =>
    byte < 32 || byte > 126 || '"\\?'.includes(String.fromCharCode(byte))
      ? `\\${byte.toString(8).padStart(3, "0")}`
      : String.fromCharCode(byte),
  ).join("")}"`;
