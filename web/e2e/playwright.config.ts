import { defineConfig } from "@playwright/test";

// One worker: two cores bear about eight tabs at 360p, and every page here encodes and decodes real video. No retries: a test
// that needs a second try is a bug of the product or of the test. The browsers are started by browsers.ts.
export default defineConfig({
  // Those of `networks` need the namespaces of scripts/networks.
  testDir: process.env.PARLOR_PICTURES ? "pictures" : process.env.PARLOR_NETWORKS ? "networks" : "tests",
  outputDir: "test-results",
  workers: 1,
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: [["./reporter.ts"]],
});
