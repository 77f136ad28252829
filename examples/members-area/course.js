// The course: a page that one tag of Ontraport opens.
module.exports = { title: 'Watercolour', path: '/courses/watercolour', tag: 'Course: Watercolour' };
