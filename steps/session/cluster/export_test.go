package cluster

// ImagesOf returns the images of pods as Read has them.
var ImagesOf = imagesOf
