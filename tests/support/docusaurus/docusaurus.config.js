// The test site: configured under names that nothing else uses, so that whoever serves it can put its own in their place.
module.exports = {
  title: 'Sluice',
  tagline: 'Keeps a faithful, searchable copy of the tools where work lives',
  url: 'https://configured.invalid',
  baseUrl: '/__base__/',
  future: { faster: { swcHtmlMinimizer: true } }, // it drops quotes and end tags, as on most sites of today
  onBrokenLinks: 'ignore',
  onBrokenAnchors: 'ignore',
  markdown: { format: 'detect', hooks: { onBrokenMarkdownLinks: 'ignore', onBrokenMarkdownImages: 'ignore' } },
  presets: [
    [
      'classic',
      {
        docs: { editUrl: 'https://configured.invalid/source/', showLastUpdateTime: true, sidebarPath: undefined },
        blog: { showReadingTime: false, onInlineAuthors: 'ignore', onUntruncatedBlogPosts: 'ignore' },
        sitemap: { changefreq: null, priority: null },
      },
    ],
  ],
  themeConfig: {
    navbar: {
      title: 'Sluice',
      items: [
        { type: 'docSidebar', sidebarId: 'defaultSidebar', label: 'Docs' },
        { to: '/blog', label: 'Blog' },
        { type: 'docsVersionDropdown' },
      ],
    },
    footer: { copyright: 'Built from the documents of Sluice.' },
  },
};
