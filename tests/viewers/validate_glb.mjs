// Khronos glTF validator: node validate_glb.mjs FILE.glb ... -> one JSON line per file.
import fs from "node:fs";
import validator from "gltf-validator";

for (const path of process.argv.slice(2)) {
  const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(path)), { uri: path, maxIssues: 50 });
  const { numErrors, numWarnings, numInfos, numHints, messages } = report.issues;
  console.log(JSON.stringify({ path, errors: numErrors, warnings: numWarnings, infos: numInfos, hints: numHints, messages }));
}
