// client.js METADATA-DIR TARGET-DIR URL NAME...: refreshes and downloads with tuf-js, which knows nothing of us.
const path = require('path');
const {Updater} = require('tuf-js');

async function main() {
  const [metadataDir, targetDir, url, ...names] = process.argv.slice(2);
  const updater = new Updater({
    metadataDir,
    metadataBaseUrl: `${url}/metadata`,
    targetDir,
    targetBaseUrl: `${url}/targets`,
    config: {fetchRetries: 0},
  });
  await updater.refresh();
  for (const name of names) {
    const target = await updater.getTargetInfo(name);
    if (!target) {
      throw new Error(`no target ${name}`);
    }
    await updater.downloadTarget(target, path.join(targetDir, encodeURIComponent(name)));
  }
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
