#!/bin/sh
# Builds the test site of the provider from our own docs/ and packs what a crawler reads:
#   tests/support/docusaurus/build.sh            writes libs/providers/docusaurus/fixtures/site.tar.xz
# The released version is docs/ and pages/; the unreleased one has a page more. Needs node and npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=${SITE_WORK:-$root/.sluice/cache/docusaurus}

mkdir -p "$work"
cp "$here/package.json" "$here/package-lock.json" "$here/docusaurus.config.js" "$work/"
cd "$work"
# Not `npm ci`: it refuses a lock without the minifier's packages for other systems, which not every registry carries.
[ -d node_modules ] || npm install --no-save --no-audit --no-fund
rm -rf docs blog src build versioned_docs versioned_sidebars versions.json .docusaurus
mkdir docs src
cp "$root"/docs/*.md docs/
cp -r "$root/docs/decisions" docs/decisions
cp -r "$here/pages/." docs/
cp -r "$here/blog" blog
cp -r "$here/home" src/pages
rm docs/next-only.md
export DOCUSAURUS_NO_PERSISTENT_CACHE=1 NO_UPDATE_NOTIFIER=1
npx --no-install docusaurus docs:version 1.0
cp "$here/pages/next-only.md" docs/
npx --no-install docusaurus build
python3 "$here/pack.py" build "$root/libs/providers/docusaurus/fixtures/site.tar.xz"
