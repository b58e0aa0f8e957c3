// Asks the installed OpenClaw itself which profiles it would try: its own loader reads the stores of one
// case, its own functions choose. Called with the package's folder and a file that lists the cases:
// [{state, agent, config, provider, pinned, ids}]. Prints [{order, reasons}] as JSON.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [dist, list] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(list, "utf8"));

// Its files and exports have short names that change with every build.
async function exported(name) {
  const pattern = new RegExp(`export \\{[^}]*\\b${name}(?: as (\\w+))?\\b[^}]*\\}`);
  for (const file of readdirSync(dist)) {
    if (!file.endsWith(".js")) continue;
    const text = readFileSync(join(dist, file), "utf8");
    if (!text.includes(`function ${name}(`)) continue;
    const found = text.match(pattern);
    if (found) return (await import(pathToFileURL(join(dist, file)).href))[found[1] ?? name];
  }
  throw new Error(`${name} is not in this OpenClaw`);
}

const load = await exported("loadAuthProfileStoreForSecretsRuntime");
const order = await exported("resolveAuthProfileOrder");
const eligibility = await exported("resolveAuthProfileEligibility");

const answers = cases.map((one) => {
  process.env.OPENCLAW_STATE_DIR = one.state;
  const store = load(join(one.state, "agents", one.agent, "agent"));
  const cfg = one.config;
  const reasons = Object.fromEntries(
    one.ids.map((profileId) => [
      profileId,
      eligibility({ cfg, store, provider: one.provider, profileId, now: Date.now() }).reasonCode,
    ]),
  );
  const preferredProfile = one.pinned ?? undefined;
  return { order: order({ cfg, store, provider: one.provider, preferredProfile }), reasons };
});
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
