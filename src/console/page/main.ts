document.title = "Headgate";
